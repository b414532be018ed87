"""Detect changes in the registers' file, by any process, and in this process's memory, as a numbered epoch.

A table of the file records changes, by triggers in the same transaction (`migrations`): neither a crash nor another
program on the same file can omit a change. The number in shared memory only speeds up detection; in any case each
process queries the file at its first call after `revocations.CHECK_SECONDS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import text, whole
from answerable.ports.worlds import ANYTHING, ChangeScope, Epoch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.adapters.sqlite.revocations import SqliteRevocationRegister
    from answerable.adapters.sqlite.unreadable import Row

_LAST: Final = "SELECT coalesce(max(number), 0) FROM authority_changes"
_NEWS: Final = "SELECT number, register, scope FROM authority_changes WHERE number > ? ORDER BY number"


class SqliteEpochs:
    """Port Epochs. Checks together with the revocations, so that one check covers all registers of the file."""

    def __init__(self, revocations: SqliteRevocationRegister) -> None:
        """revocations: the register of the same file. Raises Unavailable (`register.unavailable`)."""
        self._store, self._reader = revocations.store, revocations.reader
        self._log = self._store.changes
        self._look, self._reread = revocations.epoch, revocations.reread
        self._read = whole(self._reader.few(_LAST)[0][0])
        revocations.follow(self._take_news)

    def epoch(self) -> Epoch:
        self._look()
        return Epoch(self._log.number)

    def reread(self) -> Epoch:
        self._reread()
        return Epoch(self._log.number)

    def changed(self, since: Epoch) -> frozenset[ChangeScope] | None:
        return self._log.since(since)

    def change(self, scopes: frozenset[ChangeScope]) -> None:
        self._log.add(scopes)

    def _take_news(self) -> bool:
        """Start a new epoch for new changes, once this process's mirrors contain them. Returns False: this is no
        revocation."""
        rows = self._reader.few(_NEWS, (self._read,))
        if rows:
            self._store.refresh_registers({text(row[1]) for row in rows})
            # An unreadable row decides about more names than it was recorded with.
            is_known = not self._store.unreadable.all()
            self._log.add(_hit_by(rows, after=self._read) if is_known else frozenset({ANYTHING}))
            self._read = whole(rows[-1][0])
        return False


def _hit_by(rows: Sequence[Row], *, after: int) -> frozenset[ChangeScope]:
    # Rows that the table dropped had unknown scopes.
    if whole(rows[0][0]) != after + 1:
        return frozenset({ANYTHING})
    return frozenset(ChangeScope(text(row[2])) for row in rows)
