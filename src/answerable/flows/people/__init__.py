"""Sign-in, passkeys and invitations of people, and attestation of workflows."""
