"""What the team approved: read, cut, embedded, searched. It scores; it never judges."""
