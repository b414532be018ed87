"""Parse documents to registered nouns, and collect every fault."""
