"""What a process holds in memory for its flows: limits, caches, queues. Imports no other room."""
