"""The epoch of a process: news of what changed in the registers' file, by whomever, and of what changed in memory.

The file keeps what changed in a table of its own, which triggers fill in the very transaction (`migrations`): neither a
crash after it nor another program on the same file leaves a change out. The number in shared memory makes the news
quick; whatever becomes of it, each process asks the file at its first call after `revocations.CHECK_SECONDS`.
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
    """Port Epochs. Looks when the revocations look, so that one look says it of all registers of the file."""

    def __init__(self, revocations: SqliteRevocationRegister) -> None:
        """revocations: of the same file. Raises Unavailable (`register.unavailable`)."""
        self._store, self._reader = revocations.store, revocations.reader
        self._log = self._store.changes
        self._look = revocations.epoch
        self._read = whole(self._reader.rows(_LAST)[0][0])
        revocations.follow(self._take_news)

    def epoch(self) -> Epoch:
        self._look()
        return Epoch(self._log.number)

    def changed(self, since: Epoch) -> frozenset[ChangeScope] | None:
        return self._log.since(since)

    def change(self, scopes: frozenset[ChangeScope]) -> None:
        self._log.add(scopes)

    def _take_news(self) -> bool:
        """Another epoch for what is new, once the mirrors of this process show it. That is no news of a revocation."""
        rows = self._reader.rows(_NEWS, (self._read,))
        if rows:
            self._store.refresh_registers({text(row[1]) for row in rows})
            self._log.add(_hit_by(rows, after=self._read))
            self._read = whole(rows[-1][0])
        return False


def _hit_by(rows: Sequence[Row], *, after: int) -> frozenset[ChangeScope]:
    # Of what the table does not keep any more nobody knows what it hit.
    if whole(rows[0][0]) != after + 1:
        return frozenset({ANYTHING})
    return frozenset(ChangeScope(text(row[2])) for row in rows)
