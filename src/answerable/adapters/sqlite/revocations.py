"""Store revocations in SQLite: rows that are only added, a mirror of their names, and notification by shared memory."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import behind, text, whole
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.revocation import REVOCATION_KINDS, Revocation, RevocationTarget, revocable
from answerable.errors import AnswerableError, Unavailable
from answerable.ports.revocation_register import UNRECORDED_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.ports.clock import Clock

CHECK_SECONDS: Final = 0.001
"""How long a process relies on the shared number alone before it queries the database."""
MARGIN_SECONDS: Final = 0.0005
"""Additional wait of `add`: a process that queries at the same moment has read its clock before."""

_WHAT: Final = "revocation of"
_NOBODY: Final = "register:unreadable"
_NAMELESS: Final = Revocation(
    what=RevocationTarget("trust_domain", "unreadable"), at=UnixMillis(0), by=_NOBODY
)
_COLUMNS: Final = "number, kind, name, at, made_by, reason, recorded"


class SqliteRevocationRegister:
    """Port RevocationRegister.

    A process checks the shared number with each call, and queries the database at its first call after CHECK_SECONDS.
    `add` returns that much later than its write is durable: whatever happened to the shared number, each process then
    has seen the change or queries the database.

    store: the store of this register. reader: the store's, which followers may use.

    An unreadable row revokes everything it may name: its name as every kind for which the name is valid. Recorded
    revocations are restored from the ledger at a start. If a row names nothing revocable and is not recorded, its
    target is unknown, and every caller is refused.
    """

    def __init__(self, store: SqliteStore, *, clock: Clock) -> None:
        """Raises Unavailable (`register.unavailable`, `register.corrupt`, `register.epoch`)."""
        self.store: Final = store
        self._store, self._clock = store, clock
        self._monotonic = clock.monotonic
        self._shared = store.shared_epoch()
        # Reads must not wait for this process's writes to reach the disk.
        self.reader: Final = store.lookup
        self._turn = threading.RLock()
        self._by_name: dict[RevocationTarget, Revocation] = {}
        self._nameless: Revocation | None = None
        # Revocations in force in this process but not in the file, with whether the ledger records them.
        self._behind: dict[RevocationTarget, tuple[Revocation, bool]] = {}
        self._read = 0
        self._epoch = 0
        self._followers: list[Callable[[], bool]] = []
        self._seen = -1
        self._version = -1
        self._check_at = 0.0
        self._catch_up()

    def epoch(self) -> int:
        # The clock first: after `check_at`, the number must not be read before its file is known to be intact.
        if self._monotonic() >= self._check_at or self._shared.cell[0] != self._seen:
            self._catch_up()
        return self._epoch

    def reread(self) -> None:
        """Take over what the file has, even if it was queried a moment ago. Raises Unavailable."""
        self._catch_up()

    def follow(self, reload: Callable[[], bool]) -> None:
        """Include another register of the same file in this epoch. reload: takes over new rows, and returns whether
        there were any; called now, and at every change. Raises the exceptions of `reload`."""
        with self._turn:
            reload()
            self._followers.append(reload)

    def tell(self) -> None:
        """Notify every process after a follower's durable write: when this returns, every process sees the write at its
        next call.

        Raises Unavailable (`register.unavailable`).
        """
        self._store.tell_ended()
        self._catch_up()
        self._store.pause(CHECK_SECONDS + MARGIN_SECONDS)

    def tell_here(self) -> None:
        """Notify after a change that is only in memory, since the file cannot be written: a new epoch in this process,
        and the other processes check whether they can write."""
        with self._turn:
            self._epoch += 1
        self._store.tell_here()

    def behind(self) -> Sequence[Revocation]:
        """Return the revocations that are in force in this process but not in the file. No I/O."""
        return tuple(one for one, _ in self._behind.values())

    def catch_up(self) -> None:
        """Write the revocations that are not in the file yet. Raises Unavailable."""
        for name, (one, recorded) in tuple(self._behind.items()):
            self._added((one,))
            if recorded:
                self._mark([name])
            del self._behind[name]

    def find(self, names: Collection[RevocationTarget]) -> Revocation | None:
        self.epoch()
        known = self._by_name
        if self._nameless is not None and names:
            return self._nameless
        if not known:
            return None
        return next((known[one] for one in names if one in known), None)

    def add(self, revocation: Revocation) -> bool:
        return self.add_all((revocation,)) == 1

    def add_all(self, revocations: Collection[Revocation]) -> int:
        try:
            return self._added(revocations)
        except Unavailable as failed:
            new = {one.what: one for one in revocations if one.what not in self._by_name}
            self._behind |= {what: (one, False) for what, one in new.items()}
            self._by_name = {**self._by_name, **new}
            self.tell_here()
            raise behind(failed) from failed

    def _added(self, revocations: Collection[Revocation]) -> int:
        with self._store.write() as connection:
            added = connection.executemany(
                "INSERT INTO revocations (kind, name, at, made_by, reason, recorded) VALUES (?, ?, ?, ?, ?, 0) "
                "ON CONFLICT (kind, name) DO NOTHING",
                [(*one.what, one.at, one.by, one.reason) for one in revocations],
            ).rowcount
        # Also notify for an existing row: the process that added it may have ended before its notification.
        self.tell()
        return added

    def all(self) -> Iterable[Revocation]:
        self.epoch()
        return tuple(reversed(self._by_name.values()))

    def unrecorded(self) -> Sequence[Revocation]:
        query = f"SELECT {_COLUMNS} FROM revocations WHERE recorded = 0 ORDER BY number LIMIT ?"  # noqa: S608
        rows = self._store.rows(query, (UNRECORDED_MAX,))
        unwritten = tuple(one for one, recorded in self._behind.values() if not recorded)
        return unwritten + tuple(self._store.unreadable.each(_WHAT, rows, _revocation, 1, 2))

    def recorded(self, names: Iterable[RevocationTarget]) -> None:
        named = [*names]
        self._behind |= {one: (self._behind[one][0], True) for one in named if one in self._behind}
        self._mark([one for one in named if one not in self._behind])

    def _mark(self, names: Sequence[RevocationTarget]) -> None:
        if not names:
            return
        with self._store.write() as connection:
            connection.executemany(
                "UPDATE revocations SET recorded = 1 WHERE kind = ? AND name = ?",
                [tuple(one) for one in names],
            )

    def _catch_up(self) -> None:
        """Take over new rows. After a fault nothing counts as seen, so that the next call tries again."""
        with self._turn:
            asked_at = self._monotonic()
            intact = self._shared.is_intact()
            if not intact:
                self._seen = -1
                with suppress(Unavailable):
                    self._shared.reopen()
                    intact = True
            # In this order: a row added after either read is found by the next call.
            word = self._shared.word
            version = self.reader.version()
            if version != self._version or word != self._seen:
                for reload in (self._reload, *self._followers):
                    # Advance the epoch at once: each reload is a change, even if the next reload fails.
                    self._epoch += reload()
            if word != self._seen:
                # Another process may have a stop that it could not write; then this process must not begin actions,
                # either.
                self._store.room.look()
                # The same number signals other ends: closed mandates and ended instances.
                self._store.refresh_ends()
            self._seen, self._version = word, version
            # Without the shared number, each call queries the database.
            self._check_at = asked_at + CHECK_SECONDS if intact else asked_at

    def _reload(self) -> bool:
        query = f"SELECT {_COLUMNS} FROM revocations WHERE number > ? ORDER BY number"  # noqa: S608
        rows = self.reader.few(query, (self._read,))
        if not rows:
            return False
        fresh: dict[RevocationTarget, Revocation] = {}
        for row in rows:
            made = next(self._store.unreadable.each(_WHAT, (row,), _revocation, 1, 2), None)
            stand_ins = [made] if made is not None else [*_stand_ins(row)]
            fresh |= {one.what: one for one in stand_ins}
            if not stand_ins and not row[6]:
                self._nameless = _NAMELESS
        # Replaced as a whole, so that other threads see all changes or none.
        self._by_name = {**self._by_name, **fresh}
        self._read = whole(rows[-1][0])
        return True


def _revocation(row: tuple[object, ...]) -> Revocation:
    return Revocation(
        what=revocable(text(row[1]), text(row[2])),
        at=UnixMillis(whole(row[3])),
        by=text(row[4]),
        reason=text(row[5]),
    )


def _stand_ins(row: tuple[object, ...]) -> Iterator[Revocation]:
    """Yield a revocation for everything that an unreadable row may have revoked."""
    for kind in REVOCATION_KINDS:
        with suppress(AnswerableError):
            what = revocable(kind, text(row[2]))
            yield Revocation(what=what, at=UnixMillis(whole(row[3])), by=_NOBODY)
