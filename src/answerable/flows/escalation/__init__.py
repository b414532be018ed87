"""Asking people: the request, who is on call, deputies."""
