"""The knowing side of unit 08. Never handed out, never readable in the sandbox."""
