"""Mandates in SQLite, with a mirror for reads and budgets in memory."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

from answerable.adapters.sqlite.columns import read, text
from answerable.core.canonical import encode, parse
from answerable.core.mandate.mandate import Mandate, MandateId
from answerable.core.mandate.token import claims_of, signed, terms_of
from answerable.errors import Malformed, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        store.mirror(self._reload)

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

    def add(self, mandate: Mandate) -> None:
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
        self._mandates[mandate.id] = mandate

    def close(self, mandate: MandateId) -> None:
        """As the port says."""
        with self._store.write() as connection:
            connection.execute("UPDATE mandates SET state = 'closed' WHERE id = ?", (mandate,))
        self._closed |= {mandate}

    def all(self) -> Iterable[Mandate]:
        """As the port says."""
        return tuple(reversed(tuple(self._mandates.values())))

    def _reload(self) -> None:
        mandates: dict[MandateId, Mandate] = {}
        closed: set[MandateId] = set()
        for row in self._store.rows("SELECT id, claims, token, state FROM mandates ORDER BY number"):
            identity = MandateId(text(row[0]))
            with read("mandate", identity):
                claims = parse(row[1] if isinstance(row[1], bytes) else b"")
                terms = terms_of(claims if isinstance(claims, dict) else {})
                mandates[identity] = signed(terms, text(row[2]))
            if row[3] == "closed":
                closed.add(identity)
        self._mandates, self._closed = mandates, frozenset(closed)
