"""From documents to nouns, with every fault."""
