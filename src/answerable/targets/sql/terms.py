"""The credential of a lease on an SQL server, and the limits of its sessions, which are stored beside its password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from answerable.core.lease.credential import Credential, Secret
from answerable.core.lease.name import account_of

if TYPE_CHECKING:
    from answerable.core.lease.credential import LeaseOrder


class Limited(Protocol):
    """A parsed scope, as far as sessions are limited by it."""

    @property
    def database(self) -> str: ...
    @property
    def rows_max(self) -> int: ...
    @property
    def seconds(self) -> int: ...


class LeaseTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The database, the rows of one call, and the seconds of one statement."""

    database: str
    rows_max: int
    seconds: int


def credential_of(order: LeaseOrder, password: str, scope: Limited) -> Credential:
    """Return the credential of an issued lease, with its terms."""
    terms = LeaseTerms(database=scope.database, rows_max=scope.rows_max, seconds=scope.seconds)
    return Credential(
        lease=order.name,
        account=account_of(order.name),
        expires_at=order.expires_at,
        secret=Secret(password=password, terms=msgspec.json.encode(terms).decode()),
    )


def terms_of(credential: Credential) -> LeaseTerms:
    """Return the terms in a credential."""
    return msgspec.json.decode(credential.secret.reveal("terms"), type=LeaseTerms)
