"""Check whether mandates, keys, passkeys, manifests, deputies and workflows are still valid. Read-only."""
