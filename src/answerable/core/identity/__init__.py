"""Identity: who a caller is, and how that was proved."""
