"""The public test bench: deterministic time and chance, faults, builders, contract suites."""
