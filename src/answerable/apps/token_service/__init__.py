"""OAuth 2.1 token service for workloads: sender-constrained tokens, exchanged, introspected and revoked."""
