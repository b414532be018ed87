"""Publish, explain, simulate, shadow and replay policy sets."""
