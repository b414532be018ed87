"""Shared Signals for receivers: streams of events, managed and polled."""
