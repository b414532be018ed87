"""In-memory state of a process that the flows share: limits, caches, queues. Imports no other
room of flows."""
