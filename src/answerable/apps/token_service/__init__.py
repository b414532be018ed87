"""OAuth 2.1 for workloads: tokens that only their sender can use, exchanged, looked into and revoked."""
