"""When and how a person takes over. Pure, all of it: no I/O, no clock, no randomness."""
