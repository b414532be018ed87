"""Verbs: one use case a file. They see ports and core only."""
