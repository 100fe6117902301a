"""The knowing side of unit 02. Never handed out, never readable in the sandbox."""
