"""The process: configuration, the line, the outbox, the commands. It wires everything and owns the clock."""
