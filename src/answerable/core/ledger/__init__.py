"""What happened, in order, and what may be said about it."""
