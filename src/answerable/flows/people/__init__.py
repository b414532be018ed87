"""Sign people in, invite them, enrol and remove their passkeys, and verify ID tokens of workflows."""
