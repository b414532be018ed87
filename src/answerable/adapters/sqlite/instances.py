"""Store instances in SQLite, with a mirror for reads. Ids and keys are stored permanently; other details can be
dropped."""

from __future__ import annotations

import json
import sqlite3
import threading
from dataclasses import replace as changed
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import octets, text, whole
from answerable.adapters.sqlite.instance_rows import body_of, from_body
from answerable.adapters.sqlite.unreadable import named
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.errors import shown
from answerable.errors.codes.workloads import INSTANCE_DUPLICATE, INSTANCE_PARENT
from answerable.ports.instance_register import FORGOTTEN, UNRECORDED_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.identity.workload.instance import Instance
    from answerable.ports.instance_register import LostEnd

# Every change takes the next number, so that other processes read only new changes.
_INSERT: Final = (
    "INSERT INTO instances (id, key, process, parent, state, because, expires_at, body, recorded, told, change) "
    "VALUES (?, ?, ?, ?, 'live', '', ?, ?, 0, '', (SELECT coalesce(max(change), 0) + 1 FROM instances))"
)
_UPDATE: Final = (
    "UPDATE instances SET body = ?, expires_at = ?, change = (SELECT max(change) + 1 FROM instances) "
    "WHERE id = ?"
)
_END: Final = (
    "UPDATE instances SET state = 'ended', because = ?, told = ?, body = ?, ended_process = process, process = NULL, "
    "change = (SELECT max(change) + 1 FROM instances) WHERE number = ?"
)
_OLD: Final = (
    "SELECT id FROM instances WHERE state = 'ended' AND recorded = 1 AND body IS NOT NULL AND expires_at < ? "
    "ORDER BY expires_at"
)
_FORGET: Final = (
    "UPDATE instances SET body = NULL, "
    "ended_process = CASE WHEN because IN (SELECT value FROM json_each(?)) THEN NULL ELSE ended_process END, "
    "change = (SELECT max(change) + 1 FROM instances) WHERE id = ?"
)
_FORGOTTEN: Final = json.dumps(sorted(FORGOTTEN))
# `parent <> ''` lets SQLite use the partial index on parents.
_FAMILY: Final = (
    "WITH RECURSIVE family(id, depth) AS (SELECT value, 0 FROM json_each(?) UNION "
    "SELECT instances.id, depth + 1 FROM family JOIN instances ON parent = family.id AND parent <> '' "
    "WHERE depth < 16) "
    # CROSS JOIN fixes the join order: the family first, then each member by id. Rows are never deleted, so the query
    # must not scan the table.
    "SELECT number, instances.id, body, member.depth FROM "
    "(SELECT id, max(depth) AS depth FROM family GROUP BY id) AS member "
    "CROSS JOIN instances ON instances.id = member.id WHERE state = 'live' ORDER BY member.depth, number"
)
_UNRECORDED: Final = (
    "SELECT id, because, told, body FROM instances WHERE state = 'ended' AND recorded = 0 "
    "ORDER BY number LIMIT ?"
)
# The index on parents ends with the row number, so the last row is found without a scan.
_LAST_SUB: Final = "SELECT id FROM instances WHERE parent = ? AND parent <> '' ORDER BY number DESC LIMIT 1"
# Lost rows are in the ledger; only their ids and keys are stored, to prevent reuse.
_WHAT: Final = "instance"
_LOST: Final = (
    "INSERT OR IGNORE INTO instances (id, key, process, parent, state, because, expires_at, body, recorded, told, "
    "change) VALUES (?, ?, NULL, '', 'ended', ?, 0, NULL, 1, '', (SELECT coalesce(max(change), 0) + 1 FROM instances))"
)
_RECORDED: Final = "UPDATE instances SET recorded = 1 WHERE state = 'ended' AND id = ?"
WITH_PARENT: Final = "parent.ended"


class SqliteInstanceRegister:
    """Port InstanceRegister. Changes compare with the file, not with the mirror, so that racing processes are decided
    by the file.

    An instance whose row cannot be read is not found, but can be ended.
    """

    def __init__(self, store: SqliteStore) -> None:
        """Raises Unavailable (`register.unavailable`, `register.corrupt`)."""
        self._store = store
        # Held from a write until the mirror contains it, so that the mirror applies writes in order.
        self._writing = threading.Lock()
        self._instances: dict[str, Instance] = {}
        self._by_key: dict[str, str] = {}
        self._by_process: dict[str, str] = {}
        # By process: the number of the row that ended last, and the reason.
        self._ended: dict[str, tuple[int, str]] = {}
        self._read = 0
        store.mirror(self._reload, ends=True, register="instances")

    def add(self, instance: Instance) -> None:
        """Add an instance. Raises Malformed (`instance.parent`) also for a sub-agent of an instance that is not
        live."""
        with self._writing:
            self._insert(instance)
            self._keep(instance)

    def put(self, instance: Instance) -> bool:
        """Replace an instance. Agent, key, process and parent never change."""
        with self._writing:
            replaced = instance.state == "live" and self._update(instance)
            if replaced:
                self._keep(instance)
        return replaced

    def end(self, instance: SpiffeId, *, because: str, by: str = "") -> tuple[Instance, ...]:
        return self.end_many((instance,), because=because, by=by)

    def end_many(self, instances: Iterable[SpiffeId], *, because: str, by: str = "") -> tuple[Instance, ...]:
        names = json.dumps([str(one) for one in instances])
        with self._writing:
            ended = self._end(names, because, by)
            for number, one in ended:
                self._keep(one)
                if not one.parent:
                    self._note_end(number, one.process, because)
        return tuple(one for _, one in ended)

    def unrecorded(self) -> tuple[tuple[Instance, str], ...]:
        """Return the unrecorded ends, read from the file, so that they include those by other processes."""
        rows = self._store.rows(_UNRECORDED, (UNRECORDED_MAX,))
        return tuple(self._store.unreadable.each(_WHAT, rows, _ended))

    def last_sub_agent(self, parent: SpiffeId) -> SpiffeId | None:
        """Return the last sub-agent of a parent, read from the file."""
        rows = self._store.rows(_LAST_SUB, (str(parent),))
        return spiffe_id(text(rows[0][0])) if rows else None

    def recorded(self, instances: Iterable[SpiffeId]) -> None:
        rows = [(str(one),) for one in instances]
        with self._store.write() as connection:
            connection.executemany(_RECORDED, rows)

    def _insert(self, instance: Instance) -> None:
        identity, body = str(instance.id), body_of(instance)
        key = instance.key.thumbprint if instance.key is not None else None
        process = instance.process if instance.process and not instance.parent else None
        with self._store.write() as connection:
            if instance.parent:
                query = "SELECT 1 FROM instances WHERE id = ? AND state = 'live'"
                if connection.execute(query, (instance.parent,)).fetchone() is None:
                    raise INSTANCE_PARENT(f"the parent instance of {shown(identity)} is not live")
            try:
                connection.execute(
                    _INSERT,
                    (identity, key, process, instance.parent, instance.expires_at, body),
                )
            except sqlite3.IntegrityError:
                message = f"instance {shown(identity)}, its key or its process is registered already"
                raise INSTANCE_DUPLICATE(message) from None

    def _update(self, instance: Instance) -> bool:
        identity = str(instance.id)
        with self._store.write() as connection:
            row = connection.execute(
                "SELECT body FROM instances WHERE id = ? AND state = 'live'", (identity,)
            ).fetchone()
            if row is None:
                return False
            known = self._made(identity, row[0], "live", "")
            if known is None or _fixed(known) != _fixed(instance):
                return False
            connection.execute(
                _UPDATE,
                (body_of(instance), instance.expires_at, identity),
            )
        return True

    def _end(self, names: str, because: str, by: str) -> list[tuple[int, Instance]]:
        ended: list[tuple[int, Instance]] = []
        with self._store.write() as connection:
            for number, identity, body, depth in connection.execute(_FAMILY, (names,)).fetchall():
                known = self._made(text(identity), body, "live", "")
                told = WITH_PARENT if depth else because
                if known is None:
                    connection.execute(_END, (because, told, body, number))
                    continue
                gone = changed(known, state="ended", ended_because=because, ended_by=by)
                connection.execute(_END, (because, told, body_of(gone), number))
                ended.append((whole(number), gone))
        return ended

    def find(self, instance: SpiffeId) -> Instance | None:
        return self._instances.get(str(instance))

    def by_key(self, thumbprint: str) -> Instance | None:
        identity = self._by_key.get(thumbprint)
        return self._instances.get(identity) if identity is not None else None

    def by_process(self, process: str) -> Instance | None:
        identity = self._by_process.get(process)
        return self._instances.get(identity) if identity is not None else None

    def process_ended(self, process: str) -> str:
        return self._ended.get(process, (0, ""))[1]

    def key_ended(self, thumbprint: str) -> str:
        """Return why the instance with this key ended, read from the file, where the key stays when other details are
        dropped."""
        rows = self._store.rows(
            "SELECT because FROM instances WHERE key = ? AND state = 'ended'", (thumbprint,)
        )
        return text(rows[0][0]) if rows else ""

    def take_lost(self, ends: Iterable[LostEnd]) -> int:
        rows = [(str(one.instance), one.key, one.because) for one in ends]
        with self._store.write() as connection:
            return sum(connection.execute(_LOST, row).rowcount for row in rows)

    def of_agent(self, agent: AgentId) -> Iterable[Instance]:
        return tuple(one for one in self.live() if one.agent == agent)

    def live(self) -> Iterable[Instance]:
        return tuple(one for one in tuple(self._instances.values()) if one.state == "live")

    def forget_ended(self, *, before: UnixMillis) -> int:
        with self._store.write() as connection:
            rows = connection.execute(_OLD, (before,)).fetchall()
            connection.executemany(_FORGET, [(_FORGOTTEN, row[0]) for row in rows])
        for row in rows:
            self._drop(text(row[0]))
        return len(rows)

    def _made(self, name: str, body: object, state: object, because: object) -> Instance | None:
        return self._store.unreadable.made(
            _WHAT, name, lambda: from_body(octets(body), state=text(state), because=text(because))
        )

    def _keep(self, instance: Instance) -> None:
        identity = str(instance.id)
        known = self._instances.get(identity)
        if known is not None and known.state == "ended":
            # Another process may have ended the instance before this write reached the mirror.
            return
        self._instances[identity] = instance
        if instance.key is not None:
            self._by_key[instance.key.thumbprint] = identity
        if instance.process and not instance.parent:
            if instance.state == "live":
                self._by_process[instance.process] = identity
            elif self._by_process.get(instance.process) == identity:
                del self._by_process[instance.process]

    def _note_end(self, number: int, process: str, because: str) -> None:
        """Record an end. For a process with several instances in succession, the last one counts."""
        if process and number >= self._ended.get(process, (0, ""))[0]:
            self._ended[process] = number, because

    def _drop(self, identity: str) -> None:
        known = self._instances.pop(identity, None)
        if known is None:
            return
        if known.key is not None:
            self._by_key.pop(known.key.thumbprint, None)
        ended = "" if known.parent else self.process_ended(known.process)
        if ended in FORGOTTEN and known.ended_because in FORGOTTEN:
            del self._ended[known.process]

    def _reload(self) -> None:
        rows = self._store.rows(
            "SELECT change, number, id, state, because, ended_process, body FROM instances WHERE change > ? "
            "ORDER BY change",
            (self._read,),
        )
        for change, number, identity, state, because, ended, body in rows:
            name = named(identity)
            if ended is not None:
                self._note_end(whole(number), text(ended), text(because))
            made = None if body is None else self._made(name, body, state, because)
            if made is None:
                self._drop(name)
            else:
                self._keep(made)
            self._read = whole(change)


def _ended(row: tuple[object, ...]) -> tuple[Instance, str]:
    _, because, told, body = row
    return from_body(octets(body), state="ended", because=text(because)), text(told)


def _fixed(instance: Instance) -> tuple[object, ...]:
    return instance.agent, instance.key, instance.process, instance.parent, instance.enrolled_at
