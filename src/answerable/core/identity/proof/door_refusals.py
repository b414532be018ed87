"""Decide which refusals at listeners are still to be recorded in the ledger: the first of each kind individually, the
others as counts.

Laws: recording costs no I/O and bounded memory, so unauthenticated callers can cause neither; each source has its own
allowance, so that no source displaces the refusals of another; only a crash loses refusals: a refusal beyond the
allowance is counted under its source, and beyond that under its listener and code; the number of ledger entries is
bounded over time, whoever sends what.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from answerable.core.identity.proof.door_refusal import DoorRefusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.proof.door_refusal import Door

ROOM_ENTRIES: Final = 32
"""Entries that one source, or one agent, may cause at once."""
ROOM_REFILL_MILLIS: Final = 120_000
"""Time after which a source may cause one more entry: 30 an hour."""
TOTAL_ENTRIES: Final = 512
"""Entries that all sources together may cause at once."""
TOTAL_REFILL_MILLIS: Final = 30_000
"""Time after which all sources together may cause one more entry: 120 an hour."""
AGAIN_MILLIS: Final = 600_000
"""Longest time for which repetitions are counted before they are recorded; a crash loses waiting counts."""
SOON_MILLIS: Final = 60_000
"""Time for which the first repetitions are counted; it doubles each time after that."""
FORGOTTEN_MILLIS: Final = 3_600_000
"""Time after which the next refusal of the kind counts as a first one again."""
ROWS_MAX: Final = 4_096
ROOMS_MAX: Final = 4_096
OTHERS_MAX: Final = 512
"""Most pairs of listener and code. Both are defined in this product, so that no caller can create more."""

CLOCK_MAX: Final = 2**53
"""Later than any clock: an allowance that begins then is full, and starts to refill at its first use."""

Place = tuple[str, str, str, str, str]
"""Listener, code, source, key and agent: what defines one kind of refusal."""


@dataclass(slots=True)
class _Allowance:
    """A token bucket: at most `most` at once, and one more each `refill_millis`."""

    most: int
    refill_millis: int
    at: int
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.most

    def refilled(self, at: int) -> int:
        """Refill, and return how many are left. If the clock was set back, nothing is refilled until the clock has made
        up the difference."""
        self.at = min(self.at, at)
        more = (at - self.at) // self.refill_millis
        if more:
            self.left = min(self.most, self.left + more)
            self.at += more * self.refill_millis
        return self.left


@dataclass(slots=True)
class _Row:
    """Refusals of one kind. like: the first of them, as described then. room: the allowance that its entries take from.
    waiting: refusals not recorded yet. told_at: time of the last record, 0 before. apart: how long repetitions wait
    after that."""

    like: DoorRefusal
    room: str = ""
    waiting: DoorRefusal | None = None
    told_at: int = 0
    apart: int = SOON_MILLIS // 2

    def add(self, refusal: DoorRefusal) -> None:
        """Count one more refusal of the kind."""
        again = replace(self.like, first=refusal.first, last=refusal.last, count=refusal.count)
        self.waiting = again if self.waiting is None else self.waiting.and_then(again)

    def take(self, at: int) -> DoorRefusal:
        """Return the waiting refusals, and treat them as recorded now."""
        waiting, self.waiting, self.told_at = self.waiting, None, at
        self.apart = min(2 * self.apart, AGAIN_MILLIS)
        self.like = replace(self.like, last=waiting.last) if waiting is not None else self.like
        return waiting if waiting is not None else self.like


@dataclass(slots=True)
class DoorRefusals:
    """All refusals that are not recorded yet. For use by one thread. totals: counts by listener and code since the
    start, for operators."""

    totals: dict[tuple[Door, str], int] = field(default_factory=dict)
    _rows: dict[Place, _Row] = field(default_factory=dict)
    _others: dict[tuple[Door, str], _Row] = field(default_factory=dict)
    _rooms: dict[str, _Allowance] = field(default_factory=dict)
    _total: _Allowance = field(
        default_factory=lambda: _Allowance(TOTAL_ENTRIES, TOTAL_REFILL_MILLIS, CLOCK_MAX)
    )

    def note(
        self, refusal: DoorRefusal, seen: Callable[[DoorRefusal], DoorRefusal], *, room: str = ""
    ) -> bool:
        """Count a refusal; return whether it has a row of its own, new or existing. seen: adds details that are
        expensive to find out, called for the first refusal of a kind only. room: the allowance to take from; that of
        the source if empty."""
        kind = (refusal.door, refusal.code)
        if kind in self.totals or len(self.totals) < OTHERS_MAX:
            self.totals[kind] = self.totals.get(kind, 0) + 1
        row = self._rows.get(_place(refusal))
        if row is not None:
            row.add(refusal)
            return True
        room = room or refusal.source
        if len(self._rows) < ROWS_MAX and self._takes(room, refusal.last):
            told = seen(refusal)
            self._rows[_place(refusal)] = _Row(told, room, told)
            return True
        self._overflow(refusal)
        return False

    def due(self, at: UnixMillis, *, closing: bool = False) -> list[DoorRefusal]:
        """Return the refusals to record now, and treat them as recorded. closing: include those that would wait
        longer."""
        found: list[DoorRefusal] = []
        for place, row in list(self._rows.items()):
            if row.waiting is None:
                if not 0 <= at - row.like.last < FORGOTTEN_MILLIS:
                    del self._rows[place]
            elif not row.told_at or (
                (closing or abs(at - row.told_at) >= row.apart) and self._takes(row.room, at)
            ):
                found.append(row.take(at))
            elif closing:
                self._count_other(row.take(at))
        for row in self._others.values():
            if row.waiting is not None and (closing or abs(at - row.told_at) >= row.apart):
                found.append(row.take(at))
        if len(self._rooms) > ROOMS_MAX // 2:
            for name in [one for one, its in self._rooms.items() if its.refilled(at) == its.most]:
                del self._rooms[name]
        return found

    def put_back(self, refusals: Iterable[DoorRefusal]) -> None:
        """Queue refusals again that could not be recorded."""
        for one in refusals:
            row = self._rows.get(_place(one)) if one.source else None
            if row is None:
                self._count_other(one).told_at = 0
                continue
            row.waiting = one if row.waiting is None else one.and_then(row.waiting)
            row.told_at = 0

    def _takes(self, room: str, at: int) -> bool:
        """Take one entry from the allowance, and return whether there was one."""
        own = self._rooms.get(room)
        if own is None:
            if len(self._rooms) >= ROOMS_MAX:
                return False
            own = self._rooms[room] = _Allowance(ROOM_ENTRIES, ROOM_REFILL_MILLIS, at)
        if not own.refilled(at) or not self._total.refilled(at):
            return False
        own.left -= 1
        self._total.left -= 1
        return True

    def _overflow(self, refusal: DoorRefusal) -> None:
        """Count under the source if that has a row or can get one, else under listener and code alone."""
        bare = replace(refusal, key="", agent="")
        row = self._rows.get(_place(bare))
        if row is not None:
            row.add(bare)
        elif len(self._rows) < ROWS_MAX and self._total.refilled(bare.last):
            self._total.left -= 1
            self._rows[_place(bare)] = _Row(bare, bare.source, bare)
        else:
            self._count_other(bare)

    def _count_other(self, refusal: DoorRefusal) -> _Row:
        bare = DoorRefusal(
            door=refusal.door,
            code=refusal.code,
            source="",
            first=refusal.first,
            last=refusal.last,
            count=refusal.count,
        )
        row = self._others.setdefault((bare.door, bare.code), _Row(bare))
        row.add(bare)
        return row


def _place(refusal: DoorRefusal) -> Place:
    return (refusal.door, refusal.code, refusal.source, refusal.key, refusal.agent)
