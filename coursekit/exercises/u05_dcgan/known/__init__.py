"""The knowing side of unit 05. Never handed out, never readable in the sandbox."""
