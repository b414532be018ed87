"""The registry as one immutable value, and look-ups in it."""
