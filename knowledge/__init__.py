"""What the team approved: read, indexed, ranked, and scored as a probability. It scores; it never judges."""
