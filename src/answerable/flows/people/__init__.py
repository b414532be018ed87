"""Signing in, passkeys, invitations, ID tokens."""
