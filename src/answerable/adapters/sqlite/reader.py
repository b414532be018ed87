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
    """A second, read-only connection to the file of a store, which reads committed data. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Raises Unavailable (`register.unavailable`)."""
        self._lock = threading.Lock()
        with faults("cannot open the register file"):
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=BUSY_MILLIS_MAX / 1000
            )
            self._connection.execute("PRAGMA query_only = ON")

    def version(self) -> int:
        """Return a number that changes with every commit by any other connection. Raises Unavailable
        (`register.unavailable`)."""
        try:
            with self._lock:
                return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as error:
            raise _unavailable(_READING, error) from None

    def rows(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Return all rows of a query. Raises Unavailable (`register.unavailable`)."""
        with self._lock, faults(_READING):
            return fetched(self._connection, query, values)

    def close(self) -> None:
        """Close the connection; later reads raise Unavailable. Idempotent."""
        with self._lock, suppress(sqlite3.Error):
            self._connection.close()


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
