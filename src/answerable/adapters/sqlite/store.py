"""Open, write and read one SQLite database file (WAL, synchronous=FULL).

A write is one transaction that is on stable storage when it returns. Registers mirror their tables for reads without
I/O; writes of other processes become visible in the mirrors at `refresh`, which the event loop calls and which waits
for no writer. So no thread waits for the file while it holds the connection's lock.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.change_log import ChangeLog
from answerable.adapters.sqlite.migrations import MIGRATIONS
from answerable.adapters.sqlite.own_file import prepare_file
from answerable.adapters.sqlite.reader import BUSY_MILLIS_MAX, StoreReader, faults, reason
from answerable.adapters.sqlite.room import Room
from answerable.adapters.sqlite.shared_epoch import SharedEpoch
from answerable.adapters.sqlite.unreadable import UnreadableRows, fetched
from answerable.adapters.sqlite.uses_behind import UsesBehind
from answerable.errors import Unavailable
from answerable.errors.codes.ledger import REGISTER_FOREIGN, REGISTER_SCHEMA_NEWER, REGISTER_UNAVAILABLE
from answerable.ports.worlds import ANYTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from answerable.adapters.sqlite.migrations import Migrations

WAL_RETRY_MILLIS: Final = 10
WRITE_RETRY_MILLIS: Final = (1, 2, 5, 10, 15, 20, 25)
"""Pauses between attempts while another process writes; the last one is repeated."""
REFRESH_MILLIS_MAX: Final = 20
"""How long `refresh` waits for another thread of this process before it leaves the changes to its next call."""
UNREAD_SECONDS_MAX: Final = 30.0
"""A process that could not read others' writes for this long must not continue with its mirrors."""
APPLICATION_ID: Final = 0x616E7377
"""`answ`: distinguishes Answerable's files from other SQLite databases."""


class SqliteStore:
    """An open database. Created by `open`; shared by the registers of one process, thread-safe.

    unreadable: rows that a register left out. room: whether the file can be written. changes: changes of authority that
    this process has seen. uses: those whose rows are behind.
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
        self._readers: list[StoreReader] = []
        self._epoch: SharedEpoch | None = None
        self._pause = threading.Event()
        self.unreadable = UnreadableRows()
        self.room = Room(path)
        self.changes = ChangeLog()
        self.uses = UsesBehind(lambda: self.write())
        self._seen = 0
        self._unread_since: float | None = None
        # Set only for the registers, and once their schema exists.
        self._notes = False

    @classmethod
    def open(
        cls, path: Path, *, migrations: Migrations = MIGRATIONS, application_id: int = APPLICATION_ID
    ) -> SqliteStore:
        """Open or create the file (mode 0600, in directories of mode 0700) and bring its schema up to date.

        Raises Unavailable: `register.unavailable`, `register.foreign` for another program's database,
        `register.schema_newer` for a database that a later version wrote.
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
            # If the disk has no room for the companion files, SQLite reports an I/O error.
            raise REGISTER_UNAVAILABLE(
                f"{failed.message}; {why}: no server starts until the register file can be written"
            ) from None
        return store

    def close(self) -> None:
        """Close the file; later writes raise Unavailable. Idempotent."""
        self.uses.close()
        with self._lock, faults("cannot close the register file"):
            for reader in self._readers:
                reader.close()
            if self._epoch is not None:
                self._epoch.close()
            self._connection.close()

    def refresh(self) -> bool:
        """Take over what other processes wrote since the last call. Return whether there was anything.

        Without changes, this is one read of the WAL's shared memory. It waits for no writer: while another thread of
        this process writes, or another process recovers the WAL, it returns False, and the next call takes the changes
        over. Raises Unavailable (`register.unavailable`), also if that lasts for UNREAD_SECONDS_MAX.
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
        """Reload the mirrors that contain ends, after a notification of an end.

        The next `refresh` finds all other changes. Raises Unavailable (`register.unavailable`).
        """
        with self._lock, faults("cannot read the register file"):
            for reload_mirror in self._ends:
                reload_mirror()

    def fill(self, reload_mirror: Callable[[], None]) -> None:
        """Reload one mirror with all committed data. The next `refresh` finds all other changes. Raises Unavailable
        (`register.unavailable`)."""
        with self._lock, faults("cannot read the register file"):
            reload_mirror()

    def refresh_registers(self, names: Collection[str]) -> None:
        """Reload the mirrors of these registers. Raises Unavailable (`register.unavailable`)."""
        with self._lock, faults("cannot read the register file"):
            for name, reload_mirror in self._by_register.items():
                if name in names:
                    reload_mirror()

    def mirror(self, reload_mirror: Callable[[], None], *, ends: bool = False, register: str = "") -> None:
        """Load a mirror now, and again whenever `refresh` finds changes. ends: also at every `refresh_ends`. register:
        also at a `refresh_registers` with this name."""
        with self._lock, faults("cannot read the register file"):
            reload_mirror()
            self._mirrors.append(reload_mirror)
            if ends:
                self._ends.append(reload_mirror)
            if register:
                self._by_register[register] = reload_mirror

    def shared_epoch(self) -> SharedEpoch:
        """Return the counter that all processes on this file share. Raises Unavailable (`register.epoch`)."""
        with self._lock:
            if self._epoch is None:
                self._epoch = SharedEpoch(self._path.with_suffix(".epoch"))
            return self._epoch

    def tell_ended(self) -> None:
        """Notify every process on this file of an end, after the write that contains the end is durable.

        Never raises: the end is in force anyway, and a process without the notification finds it by a query.
        """
        with suppress(Unavailable):
            self.shared_epoch().bump()

    def tell_here(self) -> None:
        """Notify after a change that is only in this process's memory, since the file cannot be written: a new epoch in
        this process, and the other processes check whether they can write. Never raises."""
        self.changes.add(frozenset({ANYTHING}))
        self.tell_ended()

    def reader(self) -> StoreReader:
        """Return a reader, which never waits for a write. The store closes it."""
        with self._lock:
            reader = StoreReader(self._path, self._lock, self._connection)
            self._readers.append(reader)
            return reader

    @cached_property
    def lookup(self) -> StoreReader:
        """The reader that registers share to read a few rows."""
        return self.reader()

    def look_for_room(self) -> str:
        """Return why the file cannot be written now; empty if it can. Writes to the file only after a failed write."""
        return self.room.look(self._touch)

    def _touch(self) -> None:
        with self.write() as connection:
            connection.execute("UPDATE migrations SET version = version")

    def pause(self, seconds: float) -> None:
        """Wait, in this thread."""
        self._pause.wait(seconds)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction, which is durable when the block ends without an error, and rolled back otherwise.

        Other writers wait, in this process and in others. Every process on this file is notified of changes of
        authority once they are durable. Raises Unavailable (`register.unavailable`), with effect unknown if the commit
        failed.
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
                # The next refresh reads from the file whether the commit succeeded.
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
        """Return all rows of a query. Raises Unavailable (`register.unavailable`)."""
        with self._lock, faults("cannot read the register file"):
            return fetched(self._connection, query, values)

    def _noted(self) -> bool:
        """Whether another program has written rows of a projection (`noted_writes`); its mark must stay."""
        query = "SELECT 1 FROM touched WHERE by_others = 1 LIMIT 1"
        return self._notes and self._connection.execute(query).fetchone() is not None

    def _last_change(self) -> int:
        """Return the number of the last change of authority in the file."""
        if not self._notes:
            return 0
        return int(
            self._connection.execute("SELECT coalesce(max(number), 0) FROM authority_changes").fetchone()[0]
        )

    def _read_news(self) -> bool:
        """Reload in one transaction, so that all mirrors have the same state, and no later read finds the file busy."""
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
        """Begin a transaction and acquire the lock. While another process writes, this waits without the lock."""
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
        """Raise _BusyError at once where SQLite would wait for another process. The caller holds the lock."""
        self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            yield
        except sqlite3.OperationalError as error:
            # The lowest byte of an extended code is the primary code.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            raise _BusyError(reason(error)) from None
        finally:
            with suppress(sqlite3.Error):
                self._connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLIS_MAX}")

    def _not_read(self) -> bool:
        """Report that nothing was read this time. Raises Unavailable if that lasts too long."""
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
            # The original error is raised; a connection that cannot roll back refuses all further use.
            return

    def _configure(self) -> None:
        execute = self._connection.execute
        execute(f"PRAGMA busy_timeout = {BUSY_MILLIS_MAX}")
        # In this order: the process that creates the first table sets the application id in the same transaction.
        tables = execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application = execute("PRAGMA application_id").fetchone()[0]
        if application != self._application_id and tables:
            raise REGISTER_FOREIGN(f"`{self._path.name}` is a database of another program")
        if self._turned_to_wal() != "wal":
            raise REGISTER_UNAVAILABLE(
                f"`{self._path.name}` is on a file system that does not support a write-ahead log"
            )
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA foreign_keys = ON")
        execute("PRAGMA trusted_schema = OFF")

    def _turned_to_wal(self) -> str:
        """Return the journal mode after a switch to WAL, also if other processes switch at the same instant.

        SQLite does not call its busy handler for this change (it would have to raise a read lock), so of several
        openers all but one get `busy` at once; they retry for as long as the busy timeout allows.
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
        """Return SQLite's `data_version`, which changes only when another connection has committed."""
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return int(version)


class _BusyError(Exception):
    """Another process holds the file; never leaves this module."""
