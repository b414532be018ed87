"""Which refusals at doors are still to be written down: the first of each kind one by one, the others as counts.

Laws: noting costs no I/O and bounded memory, so strangers can cause none; whoever causes refusals has room of its own,
so that nobody drives out what others caused; nothing is lost but by a crash: what there is no room for is counted under
its source, and past that under its door and code; what is written is bounded by time, whoever sends what.
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
"""After which it may cause one more: 30 an hour."""
TOTAL_ENTRIES: Final = 512
"""Entries that all sources together may cause at once."""
TOTAL_REFILL_MILLIS: Final = 30_000
"""After which they may cause one more: 120 an hour."""
AGAIN_MILLIS: Final = 600_000
"""How long repetitions are counted before they are written down, at the longest; a crash loses what waits."""
SOON_MILLIS: Final = 60_000
"""How long the first repetitions are; each time after it takes twice as long."""
FORGOTTEN_MILLIS: Final = 3_600_000
"""After which the next one of the kind is a first one again."""
ROWS_MAX: Final = 4_096
ROOMS_MAX: Final = 4_096
OTHERS_MAX: Final = 512
"""Pairs of door and code; both are ours, so that nobody else can make more."""

CLOCK_MAX: Final = 2**53
"""Later than any clock: an allowance that begins then is full, and begins to refill when it is first asked."""

Place = tuple[str, str, str, str, str]
"""Door, code, source, key, agent: what is one kind."""


@dataclass(slots=True)
class _Allowance:
    """So many at once, and one more each so many milliseconds."""

    most: int
    refill_millis: int
    at: int
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.most

    def refilled(self, at: int) -> int:
        """How many are left now. A clock that was set back gives nothing, and takes nothing for longer than it was."""
        self.at = min(self.at, at)
        more = (at - self.at) // self.refill_millis
        if more:
            self.left = min(self.most, self.left + more)
            self.at += more * self.refill_millis
        return self.left


@dataclass(slots=True)
class _Row:
    """like: the first of them, as it was told. room: whose entries it takes. waiting: what is not written down yet.
    told_at: when it was written down last, 0 before. apart: how long repetitions wait then."""

    like: DoorRefusal
    room: str = ""
    waiting: DoorRefusal | None = None
    told_at: int = 0
    apart: int = SOON_MILLIS // 2

    def add(self, refusal: DoorRefusal) -> None:
        """One more that is alike."""
        again = replace(self.like, first=refusal.first, last=refusal.last, count=refusal.count)
        self.waiting = again if self.waiting is None else self.waiting.and_then(again)

    def take(self, at: int) -> DoorRefusal:
        """What waits, as written down now."""
        waiting, self.waiting, self.told_at = self.waiting, None, at
        self.apart = min(2 * self.apart, AGAIN_MILLIS)
        self.like = replace(self.like, last=waiting.last) if waiting is not None else self.like
        return waiting if waiting is not None else self.like


@dataclass(slots=True)
class DoorRefusals:
    """Belongs to one thread. totals: of each door and code since the start, for operators."""

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
        """One refusal; whether it is told apart from others, or was before. seen: adds what is dearer to find out, and
        is asked for the first of a kind. room: whose entries it takes; its source's where it is empty."""
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
        """What is to be written down now, each of which is taken for written. closing: nothing waits any longer."""
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
        """What could not be written down waits for the next time."""
        for one in refusals:
            row = self._rows.get(_place(one)) if one.source else None
            if row is None:
                self._count_other(one).told_at = 0
                continue
            row.waiting = one if row.waiting is None else one.and_then(row.waiting)
            row.told_at = 0

    def _takes(self, room: str, at: int) -> bool:
        """Whether one more entry may be caused; then it is."""
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
        """Under its source, where that has caused what it may, or under its door and code alone."""
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
