"""Parse documents into registered nouns, and collect every fault."""
