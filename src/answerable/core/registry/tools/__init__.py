"""Definitions of tools: digests, pins, hints, differences."""
