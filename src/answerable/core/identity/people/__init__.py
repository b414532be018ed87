"""People: passkeys, invitations and ID tokens."""
