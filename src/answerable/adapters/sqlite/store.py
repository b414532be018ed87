"""One SQLite database file (WAL, synchronous=FULL) and the rules under which it is opened, written and read.

A write is one transaction that is on stable storage when it returns. Registers keep mirrors of their tables for reads
without I/O; what another process wrote becomes visible in them at `refresh`, which the event loop calls: it waits for
nobody's write. So nobody waits for the file while holding the lock of the connection.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.change_log import ChangeLog
from answerable.adapters.sqlite.migrations import MIGRATIONS
from answerable.adapters.sqlite.own_file import prepare_file
from answerable.adapters.sqlite.reader import BUSY_MILLIS_MAX, SqliteReader, faults, reason
from answerable.adapters.sqlite.room import Room
from answerable.adapters.sqlite.shared_epoch import SharedEpoch
from answerable.adapters.sqlite.unreadable import UnreadableRows, fetched
from answerable.errors import Unavailable
from answerable.errors.codes.ledger import REGISTER_FOREIGN, REGISTER_SCHEMA_NEWER, REGISTER_UNAVAILABLE
from answerable.ports.worlds import ANYTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from answerable.adapters.sqlite.migrations import Migrations

WAL_RETRY_MILLIS: Final = 10
WRITE_RETRY_MILLIS: Final = (1, 2, 5, 10, 15, 20, 25)
"""Between looks whether another process has ended its write; the last pause is repeated."""
REFRESH_MILLIS_MAX: Final = 20
"""How long `refresh` waits for another thread of this process before it leaves the news to its next call."""
UNREAD_SECONDS_MAX: Final = 30.0
"""A process that could not look at what others wrote for so long must not go on by what it knew."""
APPLICATION_ID: Final = 0x616E7377
"""`answ`: tells our files from other people's SQLite databases."""


class SqliteStore:
    """An open database. Made by `open`; shared by the registers of one process, from any of its threads.

    unreadable: rows that a register left out. room: whether the file can be written. changes: of authority, as far as
    this process has seen them.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, migrations: Migrations, application_id: int
    ) -> None:
        self._connection = connection
        self._migrations = migrations
        self._application_id = application_id
        self._path = path
        self._lock = threading.RLock()
        self._mirrors: list[Callable[[], None]] = []
        self._ends: list[Callable[[], None]] = []
        self._by_register: dict[str, Callable[[], None]] = {}
        self._readers: list[SqliteReader] = []
        self._epoch: SharedEpoch | None = None
        self._pause = threading.Event()
        self.unreadable = UnreadableRows()
        self.room = Room(path)
        self.changes = ChangeLog()
        self._seen = 0
        self._unread_since: float | None = None
        # Only of the registers, and once their schema is there.
        self._notes = False

    @classmethod
    def open(
        cls, path: Path, *, migrations: Migrations = MIGRATIONS, application_id: int = APPLICATION_ID
    ) -> SqliteStore:
        """Open or create the file (mode 0600, in directories of mode 0700) and bring its schema up to date.

        Raises Unavailable: `register.unavailable`, `register.foreign` for somebody else's database,
        `register.schema_newer` for one that a later version wrote.
        """
        try:
            prepare_file(path)
        except OSError as error:
            raise REGISTER_UNAVAILABLE(f"cannot open register file `{path.name}`: {error.strerror}") from None
        with faults(f"cannot open register file `{path.name}`"):
            connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=BUSY_MILLIS_MAX / 1000
            )
        store = cls(connection, path, migrations, application_id)
        try:
            with faults(f"cannot open register file `{path.name}`"):
                store._configure()
                store._migrate()
                store._notes = migrations is MIGRATIONS
                store._seen = store._version_seen()
        except Unavailable as failed:
            connection.close()
            why = Room(path).look()
            if failed.code != "register.unavailable" or not why:
                raise
            # SQLite calls a disk without room for what it opens beside the file an I/O error.
            raise REGISTER_UNAVAILABLE(
                f"{failed.message}; {why}: until it can be written no server starts"
            ) from None
        return store

    def close(self) -> None:
        """Close the file; whatever is written later raises Unavailable. Idempotent."""
        with self._lock, faults("cannot close the register file"):
            for reader in self._readers:
                reader.close()
            if self._epoch is not None:
                self._epoch.close()
            self._connection.close()

    def refresh(self) -> bool:
        """Take over what other processes wrote since the last call; returns whether there was anything.

        One look at the shared memory of the WAL when there was not. Waits for no writer: while a thread of ours is in
        the middle of a write, or another process mends the WAL, it says that there is nothing, and the next call takes
        it over. Raises Unavailable (`register.unavailable`), also where that goes on for UNREAD_SECONDS_MAX.
        """
        if not self._lock.acquire(timeout=REFRESH_MILLIS_MAX / 1000):
            return self._not_read()
        try:
            with faults("cannot read the register file"), self._not_waiting():
                news = self._read_news()
        except _BusyError:
            return self._not_read()
        finally:
            self._lock.release()
        self._unread_since = None
        return news

    def refresh_ends(self) -> None:
        """Fill the mirrors anew that show what has ended, because somebody told that something has.

        What else there is to take over, the next `refresh` finds. Raises Unavailable (`register.unavailable`).
        """
        with self._lock, faults("cannot read the register file"):
            for reload_mirror in self._ends:
                reload_mirror()

    def fill(self, reload_mirror: Callable[[], None]) -> None:
        """Fill one mirror anew, with all that is committed by now. What else there is to take over, the next `refresh`
        finds. Raises Unavailable (`register.unavailable`)."""
        with self._lock, faults("cannot read the register file"):
            reload_mirror()

    def refresh_registers(self, names: Collection[str]) -> None:
        """Fill the mirrors of these registers anew, as they are told of by name. Raises Unavailable
        (`register.unavailable`)."""
        with self._lock, faults("cannot read the register file"):
            for name, reload_mirror in self._by_register.items():
                if name in names:
                    reload_mirror()

    def mirror(self, reload_mirror: Callable[[], None], *, ends: bool = False, register: str = "") -> None:
        """Fill a mirror now, and again whenever `refresh` finds news. ends: also at every `refresh_ends`. register:
        also at a `refresh_registers` of this name."""
        with self._lock, faults("cannot read the register file"):
            reload_mirror()
            self._mirrors.append(reload_mirror)
            if ends:
                self._ends.append(reload_mirror)
            if register:
                self._by_register[register] = reload_mirror

    def shared_epoch(self) -> SharedEpoch:
        """The number in memory that all processes on this file share. Raises Unavailable (`register.epoch`)."""
        with self._lock:
            if self._epoch is None:
                self._epoch = SharedEpoch(self._path.with_suffix(".epoch"))
            return self._epoch

    def tell_ended(self) -> None:
        """Tell every process on this file that something has ended: after the write that says so is durable.

        Never raises: what has ended has ended, and who was not told finds out by asking the file.
        """
        with suppress(Unavailable):
            self.shared_epoch().bump()

    def tell_here(self) -> None:
        """After what is in force in this process alone, as the file cannot be written: another epoch here, and the
        other processes look whether they can write. Never raises."""
        self.changes.add(frozenset({ANYTHING}))
        self.tell_ended()

    def reader(self) -> SqliteReader:
        """A connection for reading alone, which never waits for a write. Closed with the store.

        Raises Unavailable (`register.unavailable`).
        """
        with self._lock:
            reader = SqliteReader(self._path)
            self._readers.append(reader)
            return reader

    def look_for_room(self) -> str:
        """Why the file cannot be written now; empty where it can. Takes a write only after one failed."""
        return self.room.look(self._touch)

    def _touch(self) -> None:
        with self.write() as connection:
            connection.execute("UPDATE migrations SET version = version")

    def pause(self, seconds: float) -> None:
        """Wait, in this thread."""
        self._pause.wait(seconds)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction, durable when the block is left without an error and rolled back otherwise.

        Other writers wait, in this process and in others. What changed of authority every process on this file is told
        of once it is durable. Raises Unavailable (`register.unavailable`), with effect unknown when it was the commit
        that failed.
        """
        self._begin()
        try:
            try:
                with faults("cannot write the register file", self.room):
                    others, last = self._noted(), self._last_change()
                    yield self._connection
                    if self._notes and not others:
                        self._connection.execute("UPDATE touched SET by_others = 0 WHERE by_others = 1")
                    changed = self._last_change() != last
            except BaseException:
                self._roll_back()
                raise
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self.room.failed(error, reason(error))
                self._roll_back()
                # Whether it took hold is read from the file, at the next refresh.
                self._seen = -1
                if self._notes:
                    self.tell_ended()
                message = f"cannot write the register file: {reason(error)}"
                raise REGISTER_UNAVAILABLE(message, effect="unknown") from None
            if changed:
                self.tell_ended()
        finally:
            self._lock.release()

    def rows(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """All rows of a query written here. Raises Unavailable (`register.unavailable`)."""
        with self._lock, faults("cannot read the register file"):
            return fetched(self._connection, query, values)

    def _noted(self) -> bool:
        """Whether others than us have written rows of a projection (`migrations._touched`): their note stays."""
        query = "SELECT 1 FROM touched WHERE by_others = 1 LIMIT 1"
        return self._notes and self._connection.execute(query).fetchone() is not None

    def _last_change(self) -> int:
        """Number of the last change of authority that is noted in the file."""
        if not self._notes:
            return 0
        return int(
            self._connection.execute("SELECT coalesce(max(number), 0) FROM authority_changes").fetchone()[0]
        )

    def _read_news(self) -> bool:
        """In one transaction: all mirrors show the same state, and once begun nothing of it finds the file busy."""
        self._connection.execute("BEGIN")
        try:
            version = self._version_seen()
            if version == self._seen:
                return False
            for reload_mirror in self._mirrors:
                reload_mirror()
            self._seen = version
            return True
        finally:
            self._roll_back()

    def _begin(self) -> None:
        """Begin a transaction, and hold the lock then; while another process writes, it is waited for without it."""
        ends = time.monotonic() + BUSY_MILLIS_MAX / 1000
        pauses = iter(WRITE_RETRY_MILLIS)
        while True:
            self._lock.acquire()
            try:
                with faults("cannot write the register file", self.room), self._not_waiting():
                    self._connection.execute("BEGIN IMMEDIATE")
                return
            except _BusyError as busy:
                self._lock.release()
                if time.monotonic() >= ends:
                    raise REGISTER_UNAVAILABLE(f"cannot write the register file: {busy}") from None
            except BaseException:
                self._lock.release()
                raise
            self._pause.wait(next(pauses, WRITE_RETRY_MILLIS[-1]) / 1000)

    @contextmanager
    def _not_waiting(self) -> Iterator[None]:
        """Where SQLite would wait for another process, it says so at once (_BusyError). The lock is held."""
        self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            yield
        except sqlite3.OperationalError as error:
            # Extended codes have the primary one in their lowest byte.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            raise _BusyError(reason(error)) from None
        finally:
            with suppress(sqlite3.Error):
                self._connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLIS_MAX}")

    def _not_read(self) -> bool:
        """Nothing was seen this time. Raises Unavailable where that has gone on for too long."""
        now = time.monotonic()
        if self._unread_since is None:
            self._unread_since = now
        if now - self._unread_since < UNREAD_SECONDS_MAX:
            return False
        raise REGISTER_UNAVAILABLE(
            f"cannot read the register file: it was busy for {UNREAD_SECONDS_MAX:.0f} s"
        )

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            # The error that led here is the one to tell; a connection that cannot roll back refuses what follows.
            return

    def _configure(self) -> None:
        execute = self._connection.execute
        execute(f"PRAGMA busy_timeout = {BUSY_MILLIS_MAX}")
        # In this order: whoever makes the first table names the application in the same transaction.
        tables = execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application = execute("PRAGMA application_id").fetchone()[0]
        if application != self._application_id and tables:
            raise REGISTER_FOREIGN(f"`{self._path.name}` is a database of some other program")
        if self._turned_to_wal() != "wal":
            raise REGISTER_UNAVAILABLE(
                f"`{self._path.name}` is on a file system that cannot keep a write-ahead log"
            )
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA foreign_keys = ON")
        execute("PRAGMA trusted_schema = OFF")

    def _turned_to_wal(self) -> str:
        """The journal mode after asking for WAL, also where other processes ask at the same instant.

        SQLite does not call its busy handler for this change (it would have to raise a read lock), so of several
        openers all but one are told `busy` at once; they ask again, as often as the busy timeout allows.
        """
        for _ in range(BUSY_MILLIS_MAX // WAL_RETRY_MILLIS):
            with suppress(sqlite3.OperationalError):
                return str(self._connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
            self._pause.wait(WAL_RETRY_MILLIS / 1000)
        return str(self._connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])

    def _migrate(self) -> None:
        if self._schema_version() == len(self._migrations):
            return
        with self.write() as connection:
            connection.execute(f"PRAGMA application_id = {self._application_id}")
            connection.execute("CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY) STRICT")
            for version in range(self._schema_version() + 1, len(self._migrations) + 1):
                for statement in self._migrations[version - 1]:
                    connection.execute(statement)
                connection.execute("INSERT INTO migrations (version) VALUES (?)", (version,))

    def _schema_version(self) -> int:
        query = "SELECT count(*) FROM sqlite_master WHERE name = 'migrations'"
        if self._connection.execute(query).fetchone()[0] == 0:
            return 0
        row = self._connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()
        current = int(row[0])
        newest = len(self._migrations)
        if current > newest:
            message = f"`{self._path.name}` has schema version {current}, expected at most {newest}"
            raise REGISTER_SCHEMA_NEWER(message)
        return current

    def _version_seen(self) -> int:
        """Changes only when another connection has committed (SQLite's `data_version`)."""
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return int(version)


class _BusyError(Exception):
    """Another process is in the way; never leaves this module."""
