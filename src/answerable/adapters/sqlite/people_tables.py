"""Load and save passkeys and delegations of duty as projections of the ledger.

Where another program wrote them, and where a row cannot be read, `restore_ended_authority` rebuilds them from the whole
ledger; so nothing is compared here.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import octets, whole
from answerable.core.approval.deputy_ids import delegation_in, delegation_members
from answerable.core.canonical import encode, parse
from answerable.core.identity.people.passkey_form import passkey_in, passkey_members
from answerable.core.ledger.projected_people import (
    DUTY_TAGS,
    PASSKEY_TAGS,
    DutyRow,
    PasskeyRow,
    duties_in,
    duty_after,
    passkey_after,
    passkeys_in,
)
from answerable.errors import AnswerableError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from answerable.core.ledger.projected import Told


class PasskeyTable:
    """Passkeys, by the SHA-256 of their ids, as entries name them. They are few."""

    name: Final = "passkeys"
    tags: Final = PASSKEY_TAGS

    def keys(self, told: Told) -> Iterable[str]:
        return passkeys_in(told)

    def after(self, key: str, row: PasskeyRow | None, told: Told) -> PasskeyRow | None:
        return passkey_after(row, told)

    def load(self, connection: sqlite3.Connection, key: str) -> PasskeyRow | None:
        found = _number_of(connection, key)
        if found is None:
            return None
        query = "SELECT body, removed_at FROM passkeys WHERE number = ?"
        body, removed_at = connection.execute(query, (found,)).fetchone()
        with suppress(AnswerableError):
            return PasskeyRow(passkey_in(parse(octets(body))), whole(removed_at))
        return PasskeyRow(None, whole(removed_at))

    def save(self, connection: sqlite3.Connection, key: str, row: PasskeyRow | None) -> None:
        number = _number_of(connection, key)
        if row is not None and number is not None:
            update = "UPDATE passkeys SET removed_at = ? WHERE number = ?"
            connection.execute(update, (row.removed_at, number))
        elif row is not None and row.passkey is not None:
            one = row.passkey
            connection.execute(
                "INSERT INTO passkeys (id, person, body, sign_count, removed_at) VALUES (?, ?, ?, ?, ?)",
                (one.id, one.person, encode(passkey_members(one)), one.sign_count, row.removed_at),
            )

    def all(self, connection: sqlite3.Connection) -> Iterator[str]:
        yield from ()

    def mended(self, live: PasskeyRow | None, told: PasskeyRow | None) -> PasskeyRow | None:
        return live


class DutyTable:
    """Delegations of duty, by id."""

    name: Final = "duty_delegations"
    tags: Final = DUTY_TAGS

    def keys(self, told: Told) -> Iterable[str]:
        return duties_in(told)

    def after(self, key: str, row: DutyRow | None, told: Told) -> DutyRow | None:
        return duty_after(row, told)

    def load(self, connection: sqlite3.Connection, key: str) -> DutyRow | None:
        query = "SELECT body, ended_at FROM duty_delegations WHERE id = ?"
        row = connection.execute(query, (key,)).fetchone()
        if row is None:
            return None
        with suppress(AnswerableError):
            return DutyRow(delegation_in(parse(octets(row[0]))), whole(row[1]))
        return DutyRow(None, whole(row[1]))

    def save(self, connection: sqlite3.Connection, key: str, row: DutyRow | None) -> None:
        if row is None:
            return
        update = "UPDATE duty_delegations SET ended_at = ? WHERE id = ?"
        if connection.execute(update, (row.ended_at, key)).rowcount:
            return
        given = row.delegation
        body, until = (encode(delegation_members(given)), int(given.until)) if given is not None else (b"", 0)
        connection.execute(
            "INSERT INTO duty_delegations (id, body, until, ended_at) VALUES (?, ?, ?, ?)",
            (key, body, until, row.ended_at),
        )

    def all(self, connection: sqlite3.Connection) -> Iterator[str]:
        yield from ()

    def mended(self, live: DutyRow | None, told: DutyRow | None) -> DutyRow | None:
        return live


def _number_of(connection: sqlite3.Connection, key: str) -> int | None:
    for number, identity in connection.execute("SELECT number, id FROM passkeys"):
        if isinstance(identity, bytes) and sha256(identity).hexdigest() == key:
            return whole(number)
    return None
