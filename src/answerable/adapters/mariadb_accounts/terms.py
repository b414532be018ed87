"""What a session of a lease is to keep to, carried beside its password."""

from __future__ import annotations

import msgspec


class LeaseTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which database, rows of one call, seconds of one statement."""

    database: str
    rows_max: int
    seconds: int

    def encoded(self) -> str:
        """As one text."""
        return msgspec.json.encode(self).decode()


def terms_of(text: str) -> LeaseTerms:
    """What `encoded` made."""
    return msgspec.json.decode(text, type=LeaseTerms)
