"""Encode the limits of a lease's sessions, which are stored beside its password."""

from __future__ import annotations

import msgspec


class LeaseTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Database, maximum rows of one call, and maximum seconds of one statement."""

    database: str
    rows_max: int
    seconds: int

    def encoded(self) -> str:
        """Return the terms as text."""
        return msgspec.json.encode(self).decode()


def terms_of(text: str) -> LeaseTerms:
    """Parse the text that `encoded` returned."""
    return msgspec.json.decode(text, type=LeaseTerms)
