"""Shared Signals transmitter for event receivers: manage and poll event streams."""
