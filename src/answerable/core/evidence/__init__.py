"""Evidence for outside verifiers: entries of a log with proofs, and the fields selected for disclosure."""
