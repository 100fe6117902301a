"""The knowing side of unit 01. Never handed out, never readable in the sandbox."""
