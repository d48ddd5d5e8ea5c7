"""What is fast, and against what: every figure is a ratio measured side by side in one run."""
