"""Uses that are decided in memory and whose rows follow: the intent in the ledger is the use.

Laws: a claim holds in this process from the moment it is made; a transaction of `write` stores every claim made before
it, so that no count and no position in the file is ahead of a use, and waits for `deciding`, so that none is stored
that may yet be released; the next start marks as used, from the ledger, what was not stored when the process ended.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.errors import Unavailable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

Row = tuple[str, str]
"""Table and id."""


@dataclass(slots=True, eq=False)
class _Claim:
    """A use whose row is behind. by: the action. writers: transactions that are storing it."""

    by: str
    statement: str
    values: tuple[object, ...]
    writers: int = 0


class UsesBehind:
    """The uses of one store. Thread-safe."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[sqlite3.Connection]]) -> None:
        """transaction: begins one of the store, as `SqliteStore.write`."""
        self._transaction = transaction
        self._lock = threading.Lock()
        self._deciding = threading.RLock()
        self._claims: dict[Row, _Claim] = {}
        self._is_due = False
        self._writer: threading.Thread | None = None

    def deciding(self) -> AbstractContextManager[object]:
        """While it is held, no other thread stores a claim: for the moment in which a claim may be released again. To
        be held shortly, and not while waiting for a write."""
        return self._deciding

    def claim(self, row: Row, statement: str, values: tuple[object, ...], *, by: str = "") -> None:
        """Note a use. statement: stores it; harmless where it is stored already."""
        with self._lock:
            self._claims[row] = _Claim(by, statement, values)

    def release(self, row: Row) -> bool:
        """Undo a use. False where its row is stored, or about to be."""
        with self._lock:
            claim = self._claims.get(row)
            if claim is None or claim.writers:
                return False
            del self._claims[row]
        return True

    def claimed(self, table: str) -> Mapping[str, str]:
        """Return the using actions by id. To be asked before the file is read, which has what is stored meanwhile."""
        with self._lock:
            return {name: claim.by for (there, name), claim in self._claims.items() if there == table}

    def follow(self) -> None:
        """Have the rows stored soon, by a thread, which ends when nothing is due. Never raises, and does not wait."""
        with self._lock:
            self._is_due = bool(self._claims)
            if not self._is_due or self._writer is not None:
                return
            writer = threading.Thread(target=self._follow, name="uses", daemon=True)
            # Where no thread is to be had, the next use or write takes these rows along, or the next start.
            with suppress(RuntimeError):
                writer.start()
                self._writer = writer

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction as `SqliteStore.write`, which first stores all uses that are behind."""
        stored: dict[Row, _Claim] = {}
        try:
            with self._transaction() as connection:
                with self._deciding, self._lock:
                    stored = dict(self._claims)
                    for claim in stored.values():
                        claim.writers += 1
                for claim in stored.values():
                    connection.execute(claim.statement, claim.values)
                yield connection
        except BaseException:
            self._written(stored, is_stored=False)
            raise
        self._written(stored, is_stored=True)

    def close(self) -> None:
        """Store what is behind, if the file can be written. Idempotent."""
        writer = self._writer
        if writer is not None:
            writer.join()
        if self._claims:
            self._store_now()

    def _follow(self) -> None:
        while True:
            with self._lock:
                if not self._is_due:
                    self._writer = None
                    return
                self._is_due = False
            self._store_now()

    def _store_now(self) -> None:
        # The store notes why it failed. The next write takes these rows along, or the next start.
        with suppress(Unavailable), self.write():
            pass

    def _written(self, stored: Mapping[Row, _Claim], *, is_stored: bool) -> None:
        with self._lock:
            for row, claim in stored.items():
                claim.writers -= 1
                if is_stored and self._claims.get(row) is claim:
                    del self._claims[row]
