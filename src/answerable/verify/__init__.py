"""Verify ledgers and evidence offline, by third parties: needs no server, only the core, the standard library and
`cryptography`."""
