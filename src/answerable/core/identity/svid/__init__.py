"""SPIFFE identity documents and trust bundles."""
