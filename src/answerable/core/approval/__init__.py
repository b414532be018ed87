"""A person's answer, bound to the digest of exactly what will run."""
