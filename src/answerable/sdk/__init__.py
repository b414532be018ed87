"""Provide what the author of an agent, or a person who signs, imports. It contains no server."""
