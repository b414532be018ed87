"""Request approvals, route them to people on call, and appoint deputies."""
