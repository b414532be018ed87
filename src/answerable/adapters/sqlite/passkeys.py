"""Store passkeys and invitations in SQLite, with a mirror of the active passkeys."""

from __future__ import annotations

import sqlite3
from dataclasses import replace as changed
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import given, octets, text, whole
from answerable.adapters.sqlite.unreadable import named
from answerable.core.canonical import encode, parse
from answerable.core.identity.names.principal import UnixMillis, principal_id
from answerable.core.identity.people.invitation import INVITATIONS_MAX, Invitation
from answerable.core.identity.people.passkey import PASSKEYS_MAX, check_room
from answerable.core.identity.people.passkey_form import passkey_in, passkey_members
from answerable.errors.codes.people import (
    INVITATION_DUPLICATE,
    INVITATION_FULL,
    PASSKEY_DUPLICATE,
    PASSKEY_MALFORMED,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.identity.names.principal import PrincipalId
    from answerable.core.identity.people.passkey import Passkey

_WHAT: Final = "passkey"
_INVITED: Final = "digest, person, made_by, created_at, expires_at, used_at"


class SqlitePasskeyRegister:
    """Port PasskeyRegister. The file decides, not the mirror. Passkeys are few enough to read all of them when another
    process wrote something."""

    def __init__(
        self,
        store: SqliteStore,
        *,
        passkeys_max: int = PASSKEYS_MAX,
        invitations_max: int = INVITATIONS_MAX,
    ) -> None:
        """Raises Unavailable (`register.unavailable`, `register.corrupt`)."""
        self._store = store
        self._passkeys_max, self._invitations_max = passkeys_max, invitations_max
        self._standing: dict[bytes, Passkey] = {}
        store.mirror(self._reload, register="passkeys")

    def add(self, passkey: Passkey) -> None:
        with self._store.write() as connection:
            held, all_held = connection.execute(
                "SELECT coalesce(sum(person = ?), 0), count(*) FROM passkeys WHERE removed_at = 0",
                (passkey.person,),
            ).fetchone()
            known = connection.execute("SELECT 1 FROM passkeys WHERE id = ?", (passkey.id,)).fetchone()
            if known is not None and not self._store.unreadable.has(_WHAT, passkey.id.hex()):
                raise PASSKEY_DUPLICATE("this passkey is, or was, registered already")
            connection.execute("DELETE FROM passkeys WHERE id = ?", (passkey.id,))
            check_room(passkey.person, held=held, all_held=all_held, all_max=self._passkeys_max)
            connection.execute(
                "INSERT INTO passkeys (id, person, body, sign_count, removed_at) VALUES (?, ?, ?, ?, 0)",
                (passkey.id, passkey.person, encode(passkey_members(passkey)), passkey.sign_count),
            )
        self._store.fill(self._reload)

    def find(self, credential_id: bytes) -> Passkey | None:
        return self._standing.get(credential_id)

    def of(self, person: PrincipalId) -> Sequence[Passkey]:
        return tuple(one for one in self._standing.values() if one.person == person)

    def all(self) -> Sequence[Passkey]:
        return tuple(self._standing.values())

    def count_up(self, credential_id: bytes, count: int) -> bool:
        """Advance the signature counter. One statement checks and updates it."""
        with self._store.write() as connection:
            row = connection.execute(
                "UPDATE passkeys SET sign_count = ?1 WHERE id = ?2 AND removed_at = 0 "
                "AND (sign_count < ?1 OR (sign_count = 0 AND ?1 = 0)) RETURNING id",
                (count, credential_id),
            ).fetchone()
        self._store.fill(self._reload)
        return row is not None

    def remove(self, credential_id: bytes, *, at: UnixMillis) -> bool:
        with self._store.write() as connection:
            stood = connection.execute(
                "UPDATE passkeys SET removed_at = ? WHERE id = ? AND removed_at = 0 RETURNING id",
                (max(at, 1), credential_id),
            ).fetchone()
            if stood is None:
                connection.execute(
                    "INSERT INTO passkeys (id, person, body, sign_count, removed_at) VALUES (?, '', x'', 0, ?) "
                    "ON CONFLICT (id) DO NOTHING",
                    (credential_id, max(at, 1)),
                )
        # Update the mirror first, so that the removal is effective even if the reload fails.
        self._standing = {name: one for name, one in self._standing.items() if name != credential_id}
        self._store.fill(self._reload)
        return stood is not None

    def invite(self, invitation: Invitation) -> None:
        with self._store.write() as connection:
            kept = connection.execute("SELECT count(*) FROM invitations").fetchone()[0]
            if kept >= self._invitations_max:
                message = f"there are {self._invitations_max} invitations, which is the limit: wait a day"
                raise INVITATION_FULL(message)
            connection.execute(
                "UPDATE invitations SET used_at = ? WHERE person = ? AND used_at IS NULL",
                (invitation.created_at, invitation.person),
            )
            row = (
                invitation.digest, invitation.person, invitation.by, invitation.created_at, invitation.expires_at,
            )  # fmt: skip
            try:
                connection.execute(
                    "INSERT INTO invitations (digest, person, made_by, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
                    row,
                )
            except sqlite3.IntegrityError:
                raise INVITATION_DUPLICATE() from None

    def invitation(self, digest: bytes) -> Invitation | None:
        rows = self._store.rows(f"SELECT {_INVITED} FROM invitations WHERE digest = ?", (digest,))  # noqa: S608
        return self._invitation(rows[0]) if rows else None

    def use_invitation(self, digest: bytes, *, now: UnixMillis) -> Invitation | None:
        """Use an invitation. One statement checks and marks it, in a transaction that is durable on return."""
        with self._store.write() as connection:
            row = connection.execute(
                "UPDATE invitations SET used_at = ? WHERE digest = ? AND used_at IS NULL AND created_at <= ? "  # noqa: S608
                f"RETURNING {_INVITED}",
                (now, digest, now),
            ).fetchone()
        found = None if row is None else self._invitation(row)
        return None if found is None or now >= found.expires_at else found

    def forget_invitations(self, *, before: UnixMillis) -> int:
        with self._store.write() as connection:
            return connection.execute("DELETE FROM invitations WHERE expires_at < ?", (before,)).rowcount

    def _reload(self) -> None:
        rows = self._store.rows(
            "SELECT id, body, sign_count FROM passkeys WHERE removed_at = 0 ORDER BY number"
        )
        self._standing = {one.id: one for one in self._store.unreadable.each(_WHAT, rows, _passkey)}

    def _invitation(self, row: tuple[object, ...]) -> Invitation:
        made = next(self._store.unreadable.each("invitation of", (row,), _invitation, 1, 0), None)
        return given("invitation of", named(row[1]), made)


def _passkey(row: tuple[object, ...]) -> Passkey:
    passkey = passkey_in(parse(octets(row[1])))
    if passkey.id != octets(row[0]):
        raise PASSKEY_MALFORMED("it is of another id")
    return changed(passkey, sign_count=whole(row[2]))


def _invitation(row: tuple[object, ...]) -> Invitation:
    return Invitation(
        digest=octets(row[0]),
        person=principal_id(text(row[1])),
        by=text(row[2]),
        created_at=UnixMillis(whole(row[3])),
        expires_at=UnixMillis(whole(row[4])),
        used_at=None if row[5] is None else UnixMillis(whole(row[5])),
    )
