"""Instances in SQLite, with a mirror for reads. Ids and keys stay in the file for good; particulars can be dropped."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace as changed
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import octets, read, text, whole
from answerable.adapters.sqlite.instance_rows import body_of, from_body
from answerable.errors import Malformed, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.identity.instance import Instance
    from answerable.core.identity.principal import AgentId, UnixMillis
    from answerable.core.identity.spiffe_id import SpiffeId

# Every change takes the next number, so that other processes read what is new and nothing else.
_INSERT: Final = (
    "INSERT INTO instances (id, key, process, parent, state, because, expires_at, body, change) "
    "VALUES (?, ?, ?, ?, 'live', '', ?, ?, (SELECT coalesce(max(change), 0) + 1 FROM instances))"
)
_UPDATE: Final = (
    "UPDATE instances SET body = ?, expires_at = ?, change = (SELECT max(change) + 1 FROM instances) "
    "WHERE id = ?"
)
_END: Final = (
    "UPDATE instances SET state = 'ended', because = ?, process = NULL, "
    "change = (SELECT max(change) + 1 FROM instances) WHERE id = ?"
)
_OLD: Final = (
    "SELECT id FROM instances WHERE state = 'ended' AND body IS NOT NULL AND expires_at < ? ORDER BY number"
)
_FORGET: Final = (
    "UPDATE instances SET body = NULL, change = (SELECT max(change) + 1 FROM instances) WHERE id = ?"
)
_FAMILY: Final = (
    "WITH RECURSIVE family(id, depth) AS (VALUES (?, 0) UNION "
    "SELECT instances.id, depth + 1 FROM instances JOIN family ON parent = family.id WHERE depth < 16) "
    "SELECT instances.id, state, because, body FROM instances JOIN family ON instances.id = family.id "
    "WHERE state = 'live' ORDER BY depth, number"
)


class SqliteInstanceRegister:
    """Port InstanceRegister. Changes compare with the file, not with the mirror, so that processes race fairly."""

    def __init__(self, store: SqliteStore) -> None:
        """Raises Unavailable (`register.unavailable`, `register.corrupt`)."""
        self._store = store
        # Held from a write until the mirror shows it, so that the mirror takes writes in their order.
        self._writing = threading.Lock()
        self._instances: dict[str, Instance] = {}
        self._by_key: dict[str, str] = {}
        self._by_process: dict[str, str] = {}
        self._read = 0
        store.mirror(self._reload)

    def add(self, instance: Instance) -> None:
        """As the port says. Raises Malformed (`instance.parent`) for a sub-agent of what is not live, too."""
        with self._writing:
            self._insert(instance)
            self._keep(instance)

    def put(self, instance: Instance) -> bool:
        """As the port says. What an instance is does not change: agent, key, process, parent."""
        with self._writing:
            replaced = instance.state == "live" and self._update(instance)
            if replaced:
                self._keep(instance)
        return replaced

    def end(self, instance: SpiffeId, *, because: str) -> tuple[Instance, ...]:
        """As the port says."""
        with self._writing:
            ended = self._end(str(instance), because)
            for one in ended:
                self._keep(one)
        return tuple(ended)

    def _insert(self, instance: Instance) -> None:
        identity, body = str(instance.id), body_of(instance)
        key = instance.key.thumbprint if instance.key is not None else None
        process = instance.process if instance.process and not instance.parent else None
        with self._store.write() as connection:
            if instance.parent:
                query = "SELECT 1 FROM instances WHERE id = ? AND state = 'live'"
                if connection.execute(query, (instance.parent,)).fetchone() is None:
                    raise Malformed(f"the parent of {shown(identity)} is not live", code="instance.parent")
            try:
                connection.execute(
                    _INSERT,
                    (identity, key, process, instance.parent, instance.expires_at, body),
                )
            except sqlite3.IntegrityError:
                message = f"instance {shown(identity)}, its key or its process is registered already"
                raise Malformed(message, code="instance.duplicate") from None

    def _update(self, instance: Instance) -> bool:
        identity = str(instance.id)
        with self._store.write() as connection:
            row = connection.execute(
                "SELECT body FROM instances WHERE id = ? AND state = 'live'", (identity,)
            ).fetchone()
            if row is None:
                return False
            with read("instance", identity):
                known = from_body(octets(row[0]), state="live", because="")
            if _fixed(known) != _fixed(instance):
                return False
            connection.execute(
                _UPDATE,
                (body_of(instance), instance.expires_at, identity),
            )
        return True

    def _end(self, identity: str, because: str) -> list[Instance]:
        ended: list[Instance] = []
        with self._store.write() as connection:
            for row in connection.execute(_FAMILY, (identity,)).fetchall():
                member = text(row[0])
                with read("instance", member):
                    known = from_body(octets(row[3]), state="live", because="")
                connection.execute(
                    _END,
                    (because, member),
                )
                ended.append(changed(known, state="ended", ended_because=because))
        return ended

    def find(self, instance: SpiffeId) -> Instance | None:
        """As the port says."""
        return self._instances.get(str(instance))

    def by_key(self, thumbprint: str) -> Instance | None:
        """As the port says."""
        identity = self._by_key.get(thumbprint)
        return self._instances.get(identity) if identity is not None else None

    def by_process(self, process: str) -> Instance | None:
        """As the port says."""
        identity = self._by_process.get(process)
        return self._instances.get(identity) if identity is not None else None

    def of_agent(self, agent: AgentId) -> Iterable[Instance]:
        """As the port says."""
        return tuple(one for one in self.live() if one.agent == agent)

    def live(self) -> Iterable[Instance]:
        """As the port says."""
        return tuple(one for one in tuple(self._instances.values()) if one.state == "live")

    def forget_ended(self, *, before: UnixMillis) -> int:
        """As the port says."""
        with self._store.write() as connection:
            rows = connection.execute(_OLD, (before,)).fetchall()
            connection.executemany(_FORGET, rows)
        for row in rows:
            self._drop(text(row[0]))
        return len(rows)

    def _keep(self, instance: Instance) -> None:
        identity = str(instance.id)
        known = self._instances.get(identity)
        if known is not None and known.state == "ended":
            # News of the end may have come from another process while this write was on its way here.
            return
        self._instances[identity] = instance
        if instance.key is not None:
            self._by_key[instance.key.thumbprint] = identity
        if instance.process and not instance.parent:
            if instance.state == "live":
                self._by_process[instance.process] = identity
            elif self._by_process.get(instance.process) == identity:
                del self._by_process[instance.process]

    def _drop(self, identity: str) -> None:
        known = self._instances.pop(identity, None)
        if known is not None and known.key is not None:
            self._by_key.pop(known.key.thumbprint, None)

    def _reload(self) -> None:
        rows = self._store.rows(
            "SELECT change, id, state, because, body FROM instances WHERE change > ? ORDER BY change",
            (self._read,),
        )
        for change, identity, state, because, body in rows:
            name = text(identity)
            if body is None:
                self._drop(name)
            else:
                with read("instance", name):
                    self._keep(from_body(octets(body), state=text(state), because=text(because)))
            self._read = whole(change)


def _fixed(instance: Instance) -> tuple[object, ...]:
    return instance.agent, instance.key, instance.process, instance.parent, instance.enrolled_at
