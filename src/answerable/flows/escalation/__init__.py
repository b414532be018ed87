"""Approval requests, their routing to people on call, and deputies."""
