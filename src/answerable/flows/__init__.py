"""Use cases, one per file, grouped in rooms. Flows import ports and core only."""
