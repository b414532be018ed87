"""Maintain registers in SQLite as projections of the ledger, with rows and positions in one transaction.

Triggers mark a register on each write; each of this program's transactions removes the mark before it commits. A mark
that exists at a start shows a write by another program.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from answerable.adapters.sqlite.columns import octets, text, whole
from answerable.adapters.sqlite.projected_tables import PROJECTED, DocumentTable
from answerable.adapters.sqlite.registry import document_in_row
from answerable.adapters.sqlite.store import SqliteStore
from answerable.adapters.sqlite.unreadable import fetched, named
from answerable.core.canonical import parse
from answerable.core.identity.people.passkey_form import passkey_in
from answerable.core.ledger.projected import START, WORLD_TAGS, Position, World
from answerable.core.ledger.projected_answers import haste_in
from answerable.core.ledger.tags import Tag
from answerable.core.registry.documents.documents import PRINCIPAL
from answerable.errors import AnswerableError, Unavailable
from answerable.ports.projection import Difference, Flushed, LeftOut

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from answerable.adapters.sqlite.projected_tables import ProjectedTable
    from answerable.adapters.sqlite.unreadable import Row
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.projected import Told

_APPROVED, _UNAPPROVED = b'"approval":"', b'"approval":""'
"""In the leaf of an intent that uses an approval; and of one from before 2026-12-01 that uses none."""
_DOCUMENTS = "SELECT key, body FROM documents"
_POSITION = "SELECT name, entries, leaf, last FROM projections WHERE log = ?"
_EMPTIED: Final[Mapping[str, tuple[str, ...]]] = {
    "agent_uses": ("DELETE FROM agent_uses", "DELETE FROM uses_read", "DELETE FROM use_days"),
    "budgets": (
        "DELETE FROM budgets_used WHERE origin = :own",
        "DELETE FROM calls_counted WHERE origin = :own",
    ),
    "citations": (
        "DELETE FROM citations WHERE origin = :own",
        "DELETE FROM citations_kept WHERE origin = :own",
    ),
    "drills": ("DELETE FROM drills",),
    "duty_delegations": ("DELETE FROM duty_delegations",),
    "duty_marks": ("DELETE FROM duty_marks",),
    "events": ("DELETE FROM events_waiting", "DELETE FROM events_read"),
    "federated": ("DELETE FROM federated",),
    "figures": ("DELETE FROM figures WHERE origin = :own", "DELETE FROM figures_kept WHERE origin = :own"),
    "history": (
        "DELETE FROM history WHERE origin IN (:own, :own || ' stop rules')",
        "DELETE FROM history_kept WHERE origin IN (:own, :own || ' stop rules')",
    ),
    "inventory": ("DELETE FROM inventory",),
    "invitations": ("DELETE FROM invitations WHERE used_at IS NULL",),
    "join_tokens": ("DELETE FROM join_tokens WHERE used_at IS NULL",),
    "messages": (
        "DELETE FROM deliveries",
        "UPDATE channels SET since = 0, attempts = 0, next_at = 0, error = '', busy_until = 0",
    ),
    "openings": ("DELETE FROM nonces", "DELETE FROM looks"),
    "passkeys": ("DELETE FROM passkeys",),
    "prepared": ("DELETE FROM prepared",),
    "push_devices": ("DELETE FROM push_devices",),
    "receivers": (
        "DELETE FROM receivers WHERE mandate NOT IN (SELECT mandate FROM mandates_issued WHERE origin <> :own)",
    ),
    "status_lists": ("DELETE FROM tokens", "DELETE FROM token_names", "DELETE FROM status_lists"),
    "tokens": ("DELETE FROM tokens", "DELETE FROM token_names"),
}
"""By register that is no projection, what is deleted where others wrote it: rows that grant something or count what was
used. They are rebuilt from the whole ledger or made anew. `:own`: this process's log."""
_RECALLED = frozenset(_EMPTIED) | {"authorities", "holds", "instances", "revocations"}
"""Registers that are no projections: `mended_trust_domain`, `restore_ended_authority` and the counters rebuild them."""
_SAID, _SAID_ROWS = "said", "SELECT person, kind, what, at, holders FROM said"
"""Restored with the projections, for it follows from their entries and from what is counted since."""
_OF_PERSONS = ("invitations", "looks", "passkeys", "push_devices", "said")
_TABLES = {one.name: one for one in PROJECTED}
_WANTED = WORLD_TAGS.union(*(one.tags for one in PROJECTED))


class SqliteProjections:
    """Port Projections."""

    def __init__(self, store: SqliteStore, path: Path) -> None:
        """path: of the store's file, beside which the temporary file for a comparison is created."""
        self._store, self._path = store, path

    def positions(self, log: str) -> Mapping[str, Position]:
        return _positions(self._store.rows(_POSITION, (log,)))

    def world(self) -> World:
        documents = {}
        for key, body in self._store.rows(_DOCUMENTS):
            with suppress(Unavailable):
                documents[text(key)] = octets(body)
        keys = self._store.rows("SELECT body, person FROM passkeys WHERE removed_at = 0")
        passkeys = {_key_in(octets(body)): text(person) for body, person in keys}
        return World(documents, passkeys)

    def damaged_documents(self) -> Sequence[str]:
        return [named(row[0]) for row in self._store.rows(_DOCUMENTS) if not _can_be_read(row)]

    def wants(self, stored: StoredEntry) -> bool:
        if stored.tag == Tag.INTENT:
            return _APPROVED in stored.leaf and _UNAPPROVED not in stored.leaf
        return stored.tag in _WANTED

    def flush(
        self, told: Sequence[Told], reached: Mapping[str, Position], *, is_older: bool = False
    ) -> Flushed:
        with self._store.write() as connection:
            batch = _Batch(connection, told)
            rows = batch.saved()
            if rows or is_older:
                _forget(connection)
                _say_again(connection, told)
            _move_on(connection, batch.last, reached)
        return Flushed(rows=rows, left_out=tuple(batch.left_out))

    def confirm(self, told: Sequence[Told], reached: Mapping[str, Position]) -> bool:
        with self._store.uses.write() as connection:
            batch = _Batch(connection, told)
            if batch.changed or batch.left_out:
                return False
            _move_on(connection, batch.last, reached)
        return True

    def touched(self) -> frozenset[str]:
        return self._noted().difference(_RECALLED)

    def altered(self) -> Sequence[str]:
        return sorted(self._noted() & (_RECALLED | {_SAID}))

    def emptied(self, registers: Collection[str], own: str) -> None:
        statements = [one for name in registers for one in _EMPTIED.get(name, ())]
        if statements:
            with self._store.write() as connection:
                for one in statements:
                    connection.execute(one, {"own": own})

    def cleared(self) -> None:
        with self._store.write() as connection:
            connection.execute("UPDATE touched SET by_others = 0")

    def _noted(self) -> frozenset[str]:
        query = "SELECT name FROM touched WHERE by_others = 1"
        return frozenset(text(row[0]) for row in self._store.rows(query))

    @contextmanager
    def rebuilding(self) -> Iterator[SqliteRebuilding]:
        """Yield a rebuild in a temporary file beside the register file, with access for its own account only."""
        with tempfile.TemporaryDirectory(prefix=".compared-", dir=self._path.parent) as place:
            path = Path(place) / self._path.name
            with closing(SqliteStore.open(path)) as made:
                yield SqliteRebuilding(made, path, live=self._store)


class SqliteRebuilding(SqliteProjections):
    """Port Rebuilding."""

    def __init__(self, store: SqliteStore, path: Path, *, live: SqliteStore) -> None:
        """live: the store that is compared with the rebuilt one."""
        super().__init__(store, path)
        self._live = live

    def differences(self) -> Sequence[Difference]:
        found: list[Difference] = []
        with self._live.write() as live, self._store.write() as made:
            for table in PROJECTED:
                ours, theirs = set(table.all(live)), set(table.all(made))
                found += [Difference(table.name, key, beyond=True) for key in sorted(ours - theirs)]
                found += [
                    Difference(table.name, key, beyond=False)
                    for key in sorted(theirs)
                    if not _mended(table, live, made, key).is_so
                ]
        return found

    def mend(self, differences: Sequence[Difference]) -> None:
        with self._live.write() as live, self._store.write() as made:
            for one in differences:
                table = _TABLES[one.register]
                table.save(live, one.row, _mended(table, live, made, one.row).row)
                if one.register == DocumentTable.name and one.beyond and one.row.startswith(PRINCIPAL):
                    _forget_person(live, one.row.removeprefix(PRINCIPAL))
            if differences:
                _forget(live)
            _drop_unreadable(live)
            if _is_noted(live, _SAID):
                live.execute("DELETE FROM said")
                live.executemany("INSERT INTO said VALUES (?, ?, ?, ?, ?)", made.execute(_SAID_ROWS))
            names = [row for row in live.execute("SELECT name FROM touched") if row[0] not in _RECALLED]
            live.executemany("UPDATE touched SET by_others = 0 WHERE name = ?", names)


@dataclass
class _Batch:
    """The rows that entries result in, before anything is written."""

    connection: sqlite3.Connection
    told: Sequence[Told]
    left_out: list[LeftOut] = field(default_factory=list)
    last: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before: dict[tuple[str, str], Any] = {}
        self._after: dict[tuple[str, str], Any] = {}
        known = {log: _position_rows(self.connection, log) for log in {one.log for one in self.told}}
        for one in self.told:
            for table in PROJECTED:
                # Another process has already applied this entry.
                if one.tag in table.tags and one.index >= known[one.log].get(table.name, START).entries:
                    self._take(table, one)

    def _take(self, table: ProjectedTable, told: Told) -> None:
        for key in table.keys(told):
            place = table.name, key
            try:
                if place not in self._after:
                    self._before[place] = self._after[place] = table.load(self.connection, key)
                self._after[place] = table.after(key, self._after[place], told)
            except AnswerableError as error:
                self.left_out.append(LeftOut(table.name, key, told.log, told.index, error.code))
        self.last[told.log, table.name] = told.index

    @property
    def changed(self) -> list[tuple[str, str]]:
        """Register and key of the changed rows."""
        return [place for place, row in self._after.items() if row != self._before[place]]

    def saved(self) -> Mapping[str, int]:
        """Write the changed rows. Return how many, by register."""
        for name, key in self.changed:
            _TABLES[name].save(self.connection, key, self._after[name, key])
        return Counter(name for name, _ in self.changed)


def _move_on(
    connection: sqlite3.Connection, last: Mapping[tuple[str, str], int], reached: Mapping[str, Position]
) -> None:
    for log, place in reached.items():
        known = _position_rows(connection, log)
        for table in PROJECTED:
            before = known.get(table.name, START)
            if place.entries > before.entries:
                row = (table.name, log, place.entries, place.leaf, last.get((log, table.name), before.last))
                connection.execute("INSERT OR REPLACE INTO projections VALUES (?, ?, ?, ?, ?)", row)


class _Mended(NamedTuple):
    """The row that the ledger requires, and whether the stored row matches it."""

    row: Any
    is_so: bool


def _mended(table: ProjectedTable, live: sqlite3.Connection, made: sqlite3.Connection, key: str) -> _Mended:
    """Compare a row with the ledger. An unreadable row never matches."""
    told = table.load(made, key)
    try:
        row = table.load(live, key)
    except AnswerableError:
        return _Mended(told, is_so=False)
    mended = table.mended(row, told)
    return _Mended(mended, is_so=mended == row)


def _is_noted(connection: sqlite3.Connection, register: str) -> bool:
    query = "SELECT 1 FROM touched WHERE name = ? AND by_others = 1"
    return connection.execute(query, (register,)).fetchone() is not None


def _forget(connection: sqlite3.Connection) -> None:
    """Delete data that no entry records, from a file that lagged behind the ledger: people must open their requests and
    register their devices again, and unused join tokens must be created again."""
    for table in ("nonces", "looks", "push_devices"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
    connection.execute("DELETE FROM join_tokens WHERE used_at IS NULL")


def _forget_person(connection: sqlite3.Connection, person: str) -> None:
    """Delete the data of a person who is in the registers but no longer in the ledger."""
    for table in _OF_PERSONS:
        connection.execute(f"DELETE FROM {table} WHERE person = ?", (person,))  # noqa: S608 - names of ours


def _say_again(connection: sqlite3.Connection, told: Sequence[Told]) -> None:
    """Restore the times of approvals that the file did not know, so that limits on approval haste hold. Entries older
    than any limit are dropped with the next of their kind."""
    for one in map(haste_in, told):
        if one is not None:
            connection.execute("INSERT OR IGNORE INTO said VALUES (?, ?, ?, ?, 1)", one)


def _can_be_read(document: Row) -> bool:
    try:
        document_in_row(document)
    except AnswerableError:
        return False
    return True


def _drop_unreadable(connection: sqlite3.Connection) -> None:
    """Delete documents that still cannot be read: their names are damaged, and their content has been restored."""
    for key, body in fetched(connection, _DOCUMENTS, ()):
        if not _can_be_read((key, body)) and isinstance(key, str):
            octets_of = key.encode("utf-8", "surrogateescape")
            connection.execute("DELETE FROM documents WHERE key = CAST(? AS TEXT)", (octets_of,))


def _position_rows(connection: sqlite3.Connection, log: str) -> Mapping[str, Position]:
    return _positions(connection.execute(_POSITION, (log,)).fetchall())


def _positions(rows: Sequence[tuple[object, ...]]) -> Mapping[str, Position]:
    return {
        text(name): Position(whole(entries), text(leaf), whole(last)) for name, entries, leaf, last in rows
    }


def _key_in(body: bytes) -> str:
    """Return the thumbprint of a stored passkey; empty for an unreadable row, with which nobody can sign."""
    try:
        return passkey_in(parse(body)).key
    except AnswerableError:
        return ""
