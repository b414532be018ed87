"""Mandates in SQLite, with a mirror for reads and budgets in memory."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

from answerable.adapters.sqlite.columns import read, text, whole
from answerable.core.canonical import encode, parse
from answerable.core.ledger.leaves import Reference
from answerable.core.mandate.mandate import Mandate, MandateId
from answerable.core.mandate.token import claims_of, signed, terms_of
from answerable.errors import Malformed, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.mandate.mandate import MandateState


class SqliteMandateRegister:
    """Port MandateRegister. Budgets live in this process: one process reserves under one mandate."""

    def __init__(self, store: SqliteStore) -> None:
        """Raises Unavailable (`register.unavailable`, `register.corrupt`)."""
        self._store = store
        self._budgets = threading.Lock()
        self._mandates: dict[MandateId, Mandate] = {}
        self._closed: frozenset[MandateId] = frozenset()
        self._used: dict[MandateId, int] = {}
        self._read = 0
        store.mirror(self._reload, ends=True)

    def find(self, mandate: MandateId) -> Mandate | None:
        """As the port says."""
        return self._mandates.get(mandate)

    def state(self, mandate: MandateId) -> MandateState:
        """As the port says."""
        return "open" if mandate in self._mandates and mandate not in self._closed else "closed"

    def calls_used(self, mandate: MandateId) -> int:
        """As the port says."""
        return self._used.get(mandate, 0)

    def reserve(self, mandate: MandateId) -> int | None:
        """As the port says."""
        found = self._mandates.get(mandate)
        with self._budgets:
            used = self._used.get(mandate, 0)
            if found is None or mandate in self._closed or used >= found.calls_max:
                return None
            self._used[mandate] = used + 1
            return used + 1

    def give_back(self, mandate: MandateId) -> None:
        """As the port says."""
        with self._budgets:
            if self._used.get(mandate, 0) > 0:
                self._used[mandate] -= 1

    def restore_used(self, mandate: MandateId, calls: int) -> None:
        """As the port says."""
        with self._budgets:
            self._used[mandate] = max(calls, self._used.get(mandate, 0))

    def keep_used(self, origin: str, used: Mapping[MandateId, int], entries: int) -> None:
        """As the port says."""
        with self._store.write() as connection:
            connection.executemany(
                "INSERT INTO calls_used (origin, mandate, calls) VALUES (?, ?, ?) "
                "ON CONFLICT (origin, mandate) DO UPDATE SET calls = excluded.calls",
                [(origin, mandate, calls) for mandate, calls in used.items()],
            )
            connection.execute(
                "INSERT INTO calls_counted (origin, entries) VALUES (?, ?) "
                "ON CONFLICT (origin) DO UPDATE SET entries = excluded.entries",
                (origin, entries),
            )

    def kept_used(self, origin: str) -> Mapping[MandateId, int]:
        """As the port says."""
        rows = self._store.rows("SELECT mandate, calls FROM calls_used WHERE origin = ?", (origin,))
        return {MandateId(text(mandate)): whole(calls) for mandate, calls in rows}

    def used_up_to(self, origin: str) -> int:
        """As the port says."""
        rows = self._store.rows("SELECT entries FROM calls_counted WHERE origin = ?", (origin,))
        return whole(rows[0][0]) if rows else 0

    def add(self, mandate: Mandate, *, issued: Reference | None = None) -> None:
        """As the port says. Raises Malformed for terms that could not be read back, too."""
        claims = claims_of(mandate, audience="")
        terms_of(claims)
        row = (mandate.id, encode(claims), mandate.token)
        with self._store.write() as connection:
            try:
                connection.execute(
                    "INSERT INTO mandates (id, claims, token, state) VALUES (?, ?, ?, 'open')", row
                )
            except sqlite3.IntegrityError:
                message = f"a mandate {shown(mandate.id)} is registered already"
                raise Malformed(message, code="mandate.duplicate") from None
            if issued is not None:
                connection.execute(
                    "INSERT INTO mandates_issued (mandate, origin, entry, leaf) VALUES (?, ?, ?, ?)",
                    (mandate.id, issued.log, issued.entry, issued.leaf),
                )
        self._mandates[mandate.id] = mandate

    def issued(self, mandate: MandateId) -> Reference | None:
        """As the port says; asked when somebody closes a mandate, and read then."""
        query = "SELECT entry, leaf, origin FROM mandates_issued WHERE mandate = ?"
        rows = self._store.rows(query, (mandate,))
        if not rows:
            return None
        entry, leaf, origin = rows[0]
        return Reference(entry=whole(entry), leaf=text(leaf), log=text(origin))

    def close(self, mandate: MandateId) -> None:
        """As the port says."""
        with self._store.write() as connection:
            connection.execute("UPDATE mandates SET state = 'closed' WHERE id = ?", (mandate,))
        self._closed |= {mandate}
        self._store.tell_ended()

    def all(self) -> Iterable[Mandate]:
        """As the port says."""
        return tuple(reversed(tuple(self._mandates.values())))

    def _reload(self) -> None:
        """Terms never change once they are there, so only new ones are read."""
        fresh: dict[MandateId, Mandate] = {}
        for row in self._store.rows(
            "SELECT number, id, claims, token FROM mandates WHERE number > ? ORDER BY number", (self._read,)
        ):
            identity = MandateId(text(row[1]))
            with read("mandate", identity):
                claims = parse(row[2] if isinstance(row[2], bytes) else b"")
                terms = terms_of(claims if isinstance(claims, dict) else {})
                fresh[identity] = signed(terms, text(row[3]))
            self._read = whole(row[0])
        if fresh:
            # What was added here meanwhile stands among them, in the order of all.
            self._mandates = {
                **{key: one for key, one in self._mandates.items() if key not in fresh},
                **fresh,
            }
        closed = self._store.rows("SELECT id FROM mandates WHERE state = 'closed'")
        self._closed = frozenset(MandateId(text(row[0])) for row in closed)
