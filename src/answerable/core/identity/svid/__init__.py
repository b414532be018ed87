"""SPIFFE identity documents (SVIDs), signing authorities and trust bundles."""
