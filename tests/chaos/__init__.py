"""`python -m tests.chaos`: the long crash-and-fault suite. docs/testing.md says what it covers."""
