"""The command line: nouns, then verbs. It speaks the control API and holds no rule of its own."""
