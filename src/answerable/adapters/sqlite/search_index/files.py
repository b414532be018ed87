"""Open one file of the search index, private to its owner, and translate the driver's errors."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.own_file import prepare_file
from answerable.adapters.sqlite.reader import BUSY_MILLIS_MAX, reason
from answerable.adapters.sqlite.search_index.schema import APPLICATION_ID
from answerable.errors.codes.search import SEARCH_DAMAGED, SEARCH_UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

CACHE_KIB: Final = 8_192
"""Memory of one file's pages."""
COMPARED_BYTES_MAX: Final = 67_108_864
"""Size of a database up to which its own indexes are compared with its rows; that takes about a second."""
COMPANIONS: Final = ("", "-wal", "-shm", "-journal")
"""Ends of the names of one database's files."""


def opened(path: Path, schema: Sequence[str]) -> sqlite3.Connection:
    """Open a file, or create it with this schema. Deleted content is overwritten. Raises Unavailable
    (`search.unavailable`)."""
    with faults("cannot open the search index"):
        try:
            prepare_file(path)
        except OSError as error:
            raise SEARCH_UNAVAILABLE(
                f"cannot open the search index `{path.name}`: {error.strerror}"
            ) from None
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=BUSY_MILLIS_MAX / 1000
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            with transaction(connection):
                if not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
                    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                    for statement in schema:
                        connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection


def is_damaged(path: Path) -> bool:
    """Whether there is a file that is no database, or a broken one, as far as its beginning shows."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_MILLIS_MAX / 1000)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError as error:
        return _is_of_damage(error)
    return False


def is_consistent(path: Path) -> bool:
    """Whether SQLite finds no fault in a database; True where it cannot be read. A large one is only checked page by
    page."""
    try:
        check = "integrity_check" if path.stat().st_size <= COMPARED_BYTES_MAX else "quick_check"
        with closing(sqlite3.connect(path, timeout=BUSY_MILLIS_MAX / 1000)) as connection:
            return bool(connection.execute(f"PRAGMA {check}(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError as error:
        return not _is_of_damage(error)
    except OSError:
        return True


def _is_of_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def is_foreign(path: Path) -> bool:
    """Whether there is a database with something in it that another program made."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (made_by,) = connection.execute("PRAGMA application_id").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error:
        return False
    return bool(tables) and made_by != APPLICATION_ID


def place_of(path: Path) -> tuple[int, int]:
    """Return what identifies the file at a path; another value, equal to no file's, where there is none."""
    try:
        status = path.stat()
    except OSError:
        return (-1, -1)
    return status.st_dev, status.st_ino


def emptied(connection: sqlite3.Connection) -> bool:
    """Write everything to the database's file. Return whether nothing is left in its write-ahead log: somebody who is
    reading keeps it, and is not waited for."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLIS_MAX}")
    return not busy


def remove(path: Path) -> None:
    """Delete a database with its companion files. Raises Unavailable (`search.unavailable`)."""
    for end in COMPANIONS:
        try:
            path.with_name(path.name + end).unlink(missing_ok=True)
        except OSError as error:
            raise SEARCH_UNAVAILABLE(f"cannot delete the search index: {error.strerror}") from None


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run one transaction; it is rolled back if the block raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def faults(what: str) -> Iterator[None]:
    """Translate every driver exception into Unavailable (`search.unavailable`, `search.damaged`)."""
    try:
        yield
    except sqlite3.Error as error:
        if _is_of_damage(error):
            raise SEARCH_DAMAGED(
                f"the search index is damaged: {reason(error)}; delete it, and it is made anew"
            ) from None
        raise SEARCH_UNAVAILABLE(f"{what}: {reason(error)}; delete it, and it is made again") from None
