"""Describe ledger entries for people, as timelines and events, and announce them to other systems."""
