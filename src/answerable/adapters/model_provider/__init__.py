"""Call language model providers with a key that only the broker has, and count tokens and cost."""
