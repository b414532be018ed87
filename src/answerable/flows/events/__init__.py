"""Streams of events to callers and subscribers."""
