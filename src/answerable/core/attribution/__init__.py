"""Attribute the lines of a target's own log to recorded steps: which step, by which proof, or none of ours."""
