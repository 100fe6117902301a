"""The knowing side of unit 06. Never handed out, never readable in the sandbox."""
