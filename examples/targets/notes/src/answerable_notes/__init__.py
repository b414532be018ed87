"""Accounts of a small note service, one for each lease: a kind of target for the broker of Answerable."""
