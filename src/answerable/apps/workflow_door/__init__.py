"""The door for workflows that answer approvals: what waits for them, and their signed answers."""
