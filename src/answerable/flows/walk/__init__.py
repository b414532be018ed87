"""The walk of one action."""
