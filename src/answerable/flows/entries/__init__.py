"""Entries of the walk: statements cited, outcomes, refusals."""
