"""Drills of containment and their reports."""
