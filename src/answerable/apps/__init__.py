"""Network and command-line entry points. Each parses its input, calls a flow and renders the result; none imports
another."""
