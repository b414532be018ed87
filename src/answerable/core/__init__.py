"""Nouns and rules. Pure: no clock, entropy, I/O, environment, logging or async anywhere below this line."""
