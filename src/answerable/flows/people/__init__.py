"""Sign people in, invite them, enrol and remove their passkeys, and attest workflows."""
