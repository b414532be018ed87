"""Containment drills and containment reports."""
