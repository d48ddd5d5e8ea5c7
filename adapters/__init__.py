"""Chat platforms behind one port. They know nothing of tickets, answers or each other."""
