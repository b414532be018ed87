"""Passkeys, invitations and ID tokens of people."""
