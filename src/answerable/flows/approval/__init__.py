"""Answers of people, their channels, attention checks, oversight figures."""
