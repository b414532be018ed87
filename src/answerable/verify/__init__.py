"""Verify ledgers and evidence, replay decisions and explain denials (`answerable why`), offline, by third parties:
needs no server, only the core and the packages that `pip install answerable` installs.

A check that needs an extra is reported as not done, with the command that installs the extra.
"""
