"""Read a register file over a separate connection, and translate the driver's errors."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.unreadable import fetched
from answerable.errors.codes.ledger import REGISTER_UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from answerable.adapters.sqlite.room import Room
    from answerable.errors import Unavailable

BUSY_MILLIS_MAX: Final = 5000
"""How long a write waits for another process's write before it fails."""


_READING: Final = "cannot read the register file"


class SqliteReader:
    """Reads committed data of a store's file, over a read-only connection of its own, which opens at its first use.
    Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._own: sqlite3.Connection | None = None
        self._closed = False

    def version(self) -> int:
        """Return a number that changes with every commit by any other connection. Raises Unavailable
        (`register.unavailable`)."""
        try:
            with self._lock:
                return int((self._own or self._opened()).execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as error:
            raise _unavailable(_READING, error) from None

    def rows(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Return all rows of a query. Waits for no write. Raises Unavailable (`register.unavailable`)."""
        with self._lock, faults(_READING):
            return fetched(self._own or self._opened(), query, values)

    def close(self) -> None:
        """Close the connection; later reads raise Unavailable. Idempotent."""
        with self._lock, suppress(sqlite3.Error):
            self._closed = True
            if self._own is not None:
                self._own.close()

    def _opened(self) -> sqlite3.Connection:
        if self._closed:
            raise sqlite3.ProgrammingError("it is closed")
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=BUSY_MILLIS_MAX / 1000
        )
        connection.execute("PRAGMA query_only = ON")
        self._own = connection
        return connection


class StoreReader(SqliteReader):
    """A reader in the process that has the store. writes, writer: the store's lock and connection."""

    def __init__(self, path: Path, writes: threading.RLock, writer: sqlite3.Connection) -> None:
        super().__init__(path)
        self._writes, self._writer = writes, writer

    def few(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Return all rows of a query that has only few: over the store's connection while nothing uses it, since each
        connection parses the schema, which takes longer than many a query. Otherwise as `rows`."""
        if self._writes.acquire(blocking=False):
            try:
                with faults(_READING):
                    # This thread may be in the middle of a write: what it has not committed is not read.
                    if not self._writer.in_transaction:
                        return fetched(self._writer, query, values)
            finally:
                self._writes.release()
        return self.rows(query, values)


@contextmanager
def faults(what: str, room: Room | None = None) -> Iterator[None]:
    """Translate every driver exception. room: is notified of failed writes."""
    try:
        yield
    except sqlite3.Error as error:
        if room is not None:
            room.failed(error, reason(error))
        raise _unavailable(what, error) from None


def _unavailable(what: str, error: sqlite3.Error) -> Unavailable:
    return REGISTER_UNAVAILABLE(f"{what}: {reason(error)}")


def reason(error: sqlite3.Error) -> str:
    """Return the driver's message in one line."""
    return str(error).splitlines()[0][:200].lower() if str(error) else "no reason given"
