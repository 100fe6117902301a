"""The knowing side of unit 04. Never handed out, never readable in the sandbox."""
