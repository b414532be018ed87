"""Proofs of possession of a key, or of the use of a channel: `ProofKind` in `caller` lists them, and
`flows/tokens/verify_caller` checks them."""
