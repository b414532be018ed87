"""Use cases, one per file, grouped in rooms. Flows import ports, core, verify and api."""
