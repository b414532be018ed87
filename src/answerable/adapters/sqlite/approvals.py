"""Store approvals in SQLite, with an in-memory mirror for reads."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace as changed
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.approval_rows import body_of, from_body
from answerable.adapters.sqlite.columns import octets, text, whole
from answerable.adapters.sqlite.unreadable import named
from answerable.errors import shown
from answerable.errors.codes.approval import APPROVAL_DUPLICATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.approval.approval import Approval, ApprovalId
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.mandate.mandate import MandateId

_WHAT: Final = "approval"
_TABLE: Final = "approvals"
_Place = tuple[str, str, bytes]
# Each write takes the next change number, by which other processes find the row.
_ADD: Final = (
    "INSERT INTO approvals (id, state, expires_at, body, change) "
    "VALUES (?, ?, ?, ?, (SELECT coalesce(max(change), 0) + 1 FROM approvals)) RETURNING number, change"
)
_REPLACE: Final = (
    "UPDATE approvals SET state = ?, expires_at = ?, body = ?, change = (SELECT max(change) + 1 FROM approvals) "
    "WHERE id = ? AND state = ? AND body = ? RETURNING change"
)
_USED: Final = (
    "UPDATE approvals SET state = 'used', change = (SELECT max(change) + 1 FROM approvals) "
    "WHERE id = ? AND state <> 'used'"
)


class SqliteApprovalRegister:
    """Port ApprovalRegister. Changes compare with the file, not with the mirror, so that racing processes are decided
    by the file. Uses are decided by the mirror, and their rows follow: one process uses the approvals of a mandate.

    An approval whose row cannot be read does not exist for callers: it cannot be answered, and nothing runs by it.
    """

    def __init__(self, store: SqliteStore) -> None:
        """Raises Unavailable (`register.unavailable`, `register.corrupt`)."""
        self._store = store
        self._approvals: dict[str, Approval] = {}
        self._by_place: dict[_Place, tuple[str, ...]] = {}
        # In the order of all approvals; None if it must be computed.
        self._pending: dict[str, Approval] | None = None
        self._read = self._read_change = 0
        # Being replaced by another thread: whoever uses one now comes too late.
        self._replacing: Counter[str] = Counter()
        # Guards the mirror: one thread may deny while another adds.
        self._changing = threading.Lock()
        store.mirror(self._reload)

    def find(self, approval: ApprovalId) -> Approval | None:
        return self._approvals.get(approval)

    def matching(self, agent: AgentId, mandate: MandateId, digest: bytes, now: UnixMillis) -> Approval | None:
        for identity in self._by_place.get((agent, mandate, digest), ()):
            approval = self._approvals.get(identity)
            if approval is not None and approval.state_at(now) in ("pending", "approved"):
                return approval
        return None

    def denied(self, agent: AgentId, mandate: MandateId, digest: bytes, now: UnixMillis) -> Approval | None:
        for identity in self._by_place.get((agent, mandate, digest), ()):
            approval = self._approvals.get(identity)
            if approval is not None and approval.state not in ("void", "expired"):
                return approval if approval.is_denied_by_people(now) else None
        return None

    def add(self, approval: Approval) -> None:
        """Add an approval. Raises Malformed (`approval.duplicate`) if the id exists already."""
        with self._store.write() as connection:
            try:
                added = connection.execute(
                    _ADD,
                    (approval.id, approval.state, approval.expires_at, body_of(approval)),
                ).fetchone()
            except sqlite3.IntegrityError:
                raise APPROVAL_DUPLICATE(f"an approval {shown(approval.id)} is registered already") from None
        with self._changing:
            self._put(approval)
            if whole(added[1]) == self._read_change + 1:
                # No other process wrote meanwhile, so nothing needs to be reloaded.
                self._read, self._read_change = whole(added[0]), whole(added[1])

    def replace(self, approval: Approval, *, was: Approval) -> bool:
        return self.replace_many([(approval, was)])[0]

    def replace_many(self, changes: Sequence[tuple[Approval, Approval]]) -> tuple[bool, ...]:
        """Replace approvals in one transaction."""
        bodies = [(body_of(approval), body_of(was)) for approval, was in changes]
        with self._contested([was.id for _, was in changes]):
            with self._store.uses.write() as connection:
                numbers = [
                    connection.execute(
                        _REPLACE, (approval.state, approval.expires_at, body, was.id, was.state, body_was)
                    ).fetchone()
                    if approval.id == was.id
                    else None
                    for (approval, was), (body, body_was) in zip(changes, bodies, strict=True)
                ]
            taken = [whole(number[0]) for number in numbers if number is not None]
            with self._changing:
                for (approval, _), number in zip(changes, numbers, strict=True):
                    if number is not None:
                        self._put(approval)
                if taken and taken[0] == self._read_change + 1:
                    # No other process wrote meanwhile, so nothing is reloaded: thousands may be denied at once.
                    self._read_change = taken[-1]
        for (approval, was), number in zip(changes, numbers, strict=True):
            if number is None and approval.id == was.id:
                self._keep_as_it_is(was.id)
        return tuple(number is not None for number in numbers)

    @contextmanager
    def _contested(self, names: Sequence[str]) -> Iterator[None]:
        """Let nobody use these until the block ends. What was used before is in the file when the block writes."""
        with self._changing:
            self._replacing.update(names)
        try:
            yield
        finally:
            with self._changing:
                self._replacing -= Counter(names)

    def use(self, approval: ApprovalId, now: UnixMillis) -> bool:
        with self._changing:
            found = self._approvals.get(approval)
            if found is None or found.canary is not None or found.state_at(now) != "approved":
                return False
            if approval in self._replacing or self._store.unreadable.has(_WHAT, approval):
                return False
            self._put(changed(found, state="used"))
            self._store.uses.claim((_TABLE, approval), _USED, (approval,))
        return True

    def deciding(self) -> AbstractContextManager[object]:
        return self._store.uses.deciding()

    def give_back(self, approval: ApprovalId) -> None:
        with self._changing:
            found = self._approvals.get(approval)
            if found is not None and self._store.uses.release((_TABLE, approval)):
                self._put(changed(found, state="approved"))

    def keep_use(self, approval: ApprovalId) -> None:
        self._store.uses.follow()

    def all(self, *, pending_only: bool, now: UnixMillis) -> Iterable[Approval]:
        """List the approvals, including what other processes have written so far."""
        self._store.fill(self._reload)
        with self._changing:
            if not pending_only:
                return tuple(reversed(self._approvals.values()))
            if self._pending is None:
                self._pending = {name: a for name, a in self._approvals.items() if a.state == "pending"}
            waiting = tuple(reversed(self._pending.values()))
        return tuple(a for a in waiting if a.state_at(now) == "pending")

    def _keep_as_it_is(self, name: str) -> None:
        """Update the mirror with the row that another process wrote, for the caller's next attempt."""
        for row in self._store.rows("SELECT state, body FROM approvals WHERE id = ?", (name,)):
            found = self._made(name, row)
            if found is not None:
                self._keep(found)
            else:
                with self._changing:
                    self._drop(name)

    def _made(self, name: str, row: tuple[object, ...]) -> Approval | None:
        made = self._store.unreadable.made(_WHAT, name, lambda: from_body(octets(row[1]), state=text(row[0])))
        known = self._approvals.get(name)
        if made is not None and known is not None and known.state == "used":
            # Its row may still be behind.
            return changed(made, state="used")
        return made

    def _drop(self, name: str) -> None:
        self._approvals.pop(name, None)
        self._pending = None

    def _keep(self, approval: Approval) -> None:
        with self._changing:
            self._put(approval)

    def _put(self, approval: Approval) -> None:
        known = self._approvals.get(approval.id)
        self._approvals[approval.id] = approval
        self._put_pending(approval, known)
        if approval.canary is not None:
            # Attention checks are never matched to actions.
            return
        place = _place_of(approval)
        if approval.id not in (there := self._by_place.get(place, ())):
            self._by_place[place] = (approval.id, *there)

    def _put_pending(self, approval: Approval, known: Approval | None) -> None:
        if self._pending is None:
            return
        if approval.state != "pending":
            self._pending.pop(approval.id, None)
        elif known is None or approval.id in self._pending:
            self._pending[approval.id] = approval
        else:
            # Its place among the others is not the last.
            self._pending = None

    def _reload(self) -> None:
        """Read only the rows changed since the last read, by any process: thousands may be pending, and each row is
        long."""
        with self._changing:
            self._read_anew()

    def _read_anew(self) -> None:
        rows = self._store.rows(
            # The unary plus keeps SQLite from scanning all rows in the order of `number`.
            "SELECT number, id, state, body, change FROM approvals WHERE change > ? ORDER BY +number",
            (self._read_change,),
        )
        if not rows:
            return
        known, new = dict(self._approvals), {}
        read_before = self._read
        for row in rows:
            identity = named(row[1])
            approval = self._made(identity, row[2:4])
            self._read_change = max(self._read_change, whole(row[4]))
            if approval is None:
                known.pop(identity, None)
                self._read = max(self._read, whole(row[0]))
                continue
            if whole(row[0]) > read_before:
                # Rows added by this process meanwhile are among these, so reinsert them in the order of all.
                known.pop(identity, None)
                new[identity] = approval
                self._read = whole(row[0])
            else:
                known[identity] = approval
        self._approvals, self._pending = {**known, **new}, None
        for approval in new.values():
            self._put(approval)


def _place_of(approval: Approval) -> _Place:
    return approval.agent, approval.mandate, approval.action.digest
