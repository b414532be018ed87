"""Approvals in SQLite, with a mirror for reads."""

from __future__ import annotations

import sqlite3
from dataclasses import replace as changed
from typing import TYPE_CHECKING

from answerable.adapters.sqlite.approval_rows import body_of, from_body
from answerable.adapters.sqlite.columns import octets, read, text
from answerable.errors import Malformed, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.approval.approval import Approval, ApprovalId
    from answerable.core.identity.principal import AgentId, UnixMillis
    from answerable.core.mandate.mandate import MandateId

_Place = tuple[str, str, bytes]


class SqliteApprovalRegister:
    """Port ApprovalRegister. Changes compare with the file, not with the mirror, so that processes race fairly."""

    def __init__(self, store: SqliteStore) -> None:
        """Raises Unavailable (`register.unavailable`, `register.corrupt`)."""
        self._store = store
        self._approvals: dict[str, Approval] = {}
        self._by_place: dict[_Place, tuple[str, ...]] = {}
        store.mirror(self._reload)

    def find(self, approval: ApprovalId) -> Approval | None:
        """As the port says."""
        return self._approvals.get(approval)

    def matching(self, agent: AgentId, mandate: MandateId, digest: bytes, now: UnixMillis) -> Approval | None:
        """As the port says."""
        for identity in self._by_place.get((agent, mandate, digest), ()):
            approval = self._approvals[identity]
            if approval.state_at(now) in ("pending", "approved"):
                return approval
        return None

    def add(self, approval: Approval) -> None:
        """As the port says. Raises Malformed (`approval.duplicate`) for an id that is there already."""
        with self._store.write() as connection:
            try:
                connection.execute(
                    "INSERT INTO approvals (id, state, expires_at, body) VALUES (?, ?, ?, ?)",
                    (approval.id, approval.state, approval.expires_at, body_of(approval)),
                )
            except sqlite3.IntegrityError:
                message = f"an approval {shown(approval.id)} is registered already"
                raise Malformed(message, code="approval.duplicate") from None
        self._keep(approval)

    def replace(self, approval: Approval, *, was: Approval) -> bool:
        """As the port says."""
        if approval.id != was.id:
            return False
        with self._store.write() as connection:
            swapped = connection.execute(
                "UPDATE approvals SET state = ?, expires_at = ?, body = ? WHERE id = ? AND state = ? AND body = ?",
                (approval.state, approval.expires_at, body_of(approval), was.id, was.state, body_of(was)),
            ).rowcount
        if swapped == 1:
            self._keep(approval)
        return swapped == 1

    def use(self, approval: ApprovalId, now: UnixMillis) -> bool:
        """As the port says."""
        with self._store.write() as connection:
            used = connection.execute(
                "UPDATE approvals SET state = 'used' WHERE id = ? AND state = 'approved' AND expires_at > ?",
                (approval, now),
            ).rowcount
        if used == 1 and (found := self._approvals.get(approval)) is not None:
            self._keep(changed(found, state="used"))
        return used == 1

    def all(self, *, pending_only: bool, now: UnixMillis) -> Iterable[Approval]:
        """As the port says."""
        newest_first = reversed(tuple(self._approvals.values()))
        return tuple(a for a in newest_first if not pending_only or a.state_at(now) == "pending")

    def _keep(self, approval: Approval) -> None:
        self._approvals[approval.id] = approval
        place = _place_of(approval)
        if approval.id not in (known := self._by_place.get(place, ())):
            self._by_place[place] = (approval.id, *known)

    def _reload(self) -> None:
        approvals: dict[str, Approval] = {}
        by_place: dict[_Place, tuple[str, ...]] = {}
        for row in self._store.rows("SELECT id, state, body FROM approvals ORDER BY number"):
            identity = text(row[0])
            with read("approval", identity):
                approvals[identity] = from_body(octets(row[2]), state=text(row[1]))
            place = _place_of(approvals[identity])
            by_place[place] = (identity, *by_place.get(place, ()))
        self._approvals, self._by_place = approvals, by_place


def _place_of(approval: Approval) -> _Place:
    return approval.agent, approval.mandate, approval.action.digest
