"""Store the views and notifications of approval requests, and delegations of duty, in SQLite with a mirror."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import octets, text, whole
from answerable.core.approval.deputy_ids import (
    DELEGATIONS_MAX,
    delegation_in,
    delegation_members,
    duplicate_delegation,
    no_room,
)
from answerable.core.canonical import encode, parse
from answerable.core.identity.names.principal import UnixMillis
from answerable.errors.codes.approval import DUTY_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.approval.approval import ApprovalId
    from answerable.core.approval.deputy_statement import DeputyStatement
    from answerable.core.identity.names.principal import PrincipalId


_WHAT: Final = "delegation of duty"


class SqliteDutyRegister:
    """Port DutyRegister. The file decides, not the mirror. Marks are read incrementally, by number; delegations are few
    enough to read all of them when another process wrote something."""

    def __init__(self, store: SqliteStore, *, delegations_max: int = DELEGATIONS_MAX) -> None:
        """Raises Unavailable (`register.unavailable`, `register.corrupt`)."""
        self._store = store
        self._delegations_max = delegations_max
        self._views: dict[str, UnixMillis] = {}
        self._told: dict[str, frozenset[tuple[str, int]]] = {}
        self._delegations: dict[str, DeputyStatement] = {}
        self._read = 0
        self._reading = threading.Lock()
        store.mirror(self._reload, register="duties")

    def view(self, approval: ApprovalId, person: PrincipalId, at: UnixMillis) -> bool:
        return self._marked(approval, "view", person, 0, at)

    def first_view(self, approval: ApprovalId) -> UnixMillis | None:
        return self._views.get(approval)

    def tell(self, approval: ApprovalId, group: str, step: int, at: UnixMillis) -> bool:
        return self._marked(approval, "told", group, step, at)

    def told(self, approval: ApprovalId) -> frozenset[tuple[str, int]]:
        return self._told.get(approval, frozenset())

    def delegate(self, delegation: DeputyStatement) -> None:
        with self._store.write() as connection:
            known = connection.execute(
                "SELECT ended_at FROM duty_delegations WHERE id = ?", (delegation.id,)
            ).fetchone()
            if known is not None and (known[0] or not self._store.unreadable.has(_WHAT, delegation.id)):
                raise duplicate_delegation()
            connection.execute("DELETE FROM duty_delegations WHERE id = ?", (delegation.id,))
            kept = connection.execute(
                "SELECT count(*) FROM duty_delegations WHERE body <> x'' AND ended_at = 0"
            ).fetchone()[0]
            if kept >= self._delegations_max:
                raise no_room(self._delegations_max)
            connection.execute(
                "INSERT INTO duty_delegations (id, body, until, ended_at) VALUES (?, ?, ?, 0)",
                (delegation.id, encode(delegation_members(delegation)), delegation.until),
            )
        self._store.fill(self._reload)

    def end(self, delegation: str, at: UnixMillis) -> bool:
        ended_at = max(at, 1)
        with self._store.write() as connection:
            stood = connection.execute(
                "UPDATE duty_delegations SET ended_at = ? WHERE id = ? AND ended_at = 0 RETURNING id",
                (ended_at, delegation),
            ).fetchone()
            if stood is None:
                connection.execute(
                    "INSERT INTO duty_delegations (id, body, until, ended_at) VALUES (?, x'', 0, ?) "
                    "ON CONFLICT (id) DO NOTHING",
                    (delegation, ended_at),
                )
        # Update the mirror first, so that the end is effective even if the reload fails.
        self._delegations = {name: one for name, one in self._delegations.items() if name != delegation}
        self._store.fill(self._reload)
        return stood is not None

    def find(self, delegation: str) -> DeputyStatement | None:
        return self._delegations.get(delegation)

    def delegations(self) -> Sequence[DeputyStatement]:
        return tuple(one for one in self._delegations.values() if not one.ended_at)

    def forget(self, *, before: UnixMillis) -> int:
        with self._store.write() as connection:
            marks = connection.execute("DELETE FROM duty_marks WHERE at < ?", (before,)).rowcount
            over = connection.execute(
                "UPDATE duty_delegations SET body = x'' WHERE until < ? AND body <> x''", (before,)
            ).rowcount
        if marks + over:
            with self._reading:
                self._read, self._views, self._told = 0, {}, {}
            self._store.fill(self._reload)
        return marks + over

    def _marked(self, approval: ApprovalId, kind: str, who: str, step: int, at: UnixMillis) -> bool:
        with self._store.write() as connection:
            new = connection.execute(
                "INSERT INTO duty_marks (approval, kind, who, step, at) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (approval, kind, who, step) DO NOTHING",
                (approval, kind, who, step, at),
            ).rowcount
        self._store.fill(self._reload_marks)
        return new == 1

    def _reload(self) -> None:
        self._reload_marks()
        rows = self._store.rows(
            "SELECT id, body, ended_at FROM duty_delegations WHERE body <> x'' ORDER BY number"
        )
        self._delegations = {one.id: one for one in self._store.unreadable.each(_WHAT, rows, _delegation)}

    def _reload_marks(self) -> None:
        with self._reading:
            rows = self._store.rows(
                "SELECT number, approval, kind, who, step, at FROM duty_marks WHERE number > ? ORDER BY number",
                (self._read,),
            )
            for row in rows:
                approval, at = text(row[1]), UnixMillis(whole(row[5]))
                if row[2] == "view":
                    self._views[approval] = min(at, self._views.get(approval, at))
                else:
                    known = self._told.get(approval, frozenset())
                    self._told[approval] = known | {(text(row[3]), whole(row[4]))}
                self._read = whole(row[0])


def _delegation(row: tuple[object, ...]) -> DeputyStatement:
    found = delegation_in(parse(octets(row[1])), ended_at=whole(row[2]))
    if found.id != text(row[0]):
        raise DUTY_MALFORMED("it is of another id")
    return found
