"""Encode the limits of a lease's sessions, which are stored beside its password."""

from __future__ import annotations

import msgspec


class LeaseTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The database, the rows of one call, and the seconds of one statement."""

    database: str
    rows_max: int
    seconds: int

    def encoded(self) -> str:
        """Return the terms as JSON text."""
        return msgspec.json.encode(self).decode()


def terms_of(text: str) -> LeaseTerms:
    """Decode the result of `encoded`."""
    return msgspec.json.decode(text, type=LeaseTerms)
