"""The command line: commands are a noun, then a verb. It calls the control API and holds no rules of its own."""
