"""Count the events of one tracker, by owner (agent or mandate) and resource."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from answerable.core.canonical import INTEGER_MAX
from answerable.core.decision.tally import NEVER, PIECES, Blind, Steps, Tally, oldest_inside, piece_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.decision.tally import BlindBecause, Cell, Kept
    from answerable.core.registry.documents.policy_parts import EventKind, EventMatch, Tracker

RESOURCES_MAX: Final = 10_000
"""Maximum per owner in one tracker."""
RESOURCE_KEY_BYTES: Final = 16
RESOURCE_KEYS_MAX: Final = 4_096
ALL: Final = ""
"""Key of a cell that covers all resources."""
BLIND: Final = "?"
"""Key under which missing events are noted; never the key of a resource."""

Nature: TypeAlias = "tuple[str, str, str]"
"""Kind, environment and sensitivity of a capability."""
Unknown: TypeAlias = "BlindBecause | Literal['unread']"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event of an action. at: Unix milliseconds, from its entry.

    capability, server: empty, and nature: None, where no longer known. resource: key of the resource; arguments: as
    frozen; None where they can no longer be read.
    """

    event: EventKind
    at: int
    agent: str
    mandate: str
    capability: str
    server: str
    nature: Nature | None
    resource: str | None
    arguments: Mapping[str, JSONValue] | None


@lru_cache(maxsize=RESOURCE_KEYS_MAX)
def resource_key(type: str, id: str) -> str:
    """Return the key of a resource in trackers: of fixed length, and not its name."""
    name = f"{type}::{id}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(name, digest_size=RESOURCE_KEY_BYTES).hexdigest()


def tracker_digest(tracker: Tracker) -> str:
    """Return the digest of a tracker's declaration; a tracker with any change starts a new count."""
    return hashlib.sha256(msgspec.json.encode(tracker)).hexdigest()


def matched(match: EventMatch, event: Event) -> bool | None:
    """Whether the event matches; None where that can no longer be determined."""
    if event.event != match.event:
        return False
    # An unknown value is an empty name, which no registered name is.
    said = (event.capability, event.server, *(event.nature or ("", "", "")))
    wanted = (match.capabilities, match.servers, match.kinds, match.environments, match.sensitivities)
    if any(names and name and name not in names for names, name in zip(wanted, said, strict=True)):
        return False
    return None if any(names and not name for names, name in zip(wanted, said, strict=True)) else True


class Counter:
    """The counts of one tracker: cells by owner and key of resource; missing events by owner. changed: not stored yet.

    is_read: the events from before its declaration are included. is_fresh: nothing stored of it is valid. ahead:
    actions that have no index in the log yet.
    """

    __slots__ = ("ahead", "blind", "cells", "changed", "digest", "is_fresh", "is_read", "name", "of_mandate",
                 "of_resource", "tracker", "within_ms")  # fmt: skip

    def __init__(self, tracker: Tracker) -> None:
        self.tracker, self.name = tracker, tracker.name
        self.digest = tracker_digest(tracker)
        self.of_mandate = tracker.over == "mandate"
        self.of_resource = tracker.same_resource
        self.within_ms = tracker.within_seconds * 1000
        self.is_read = self.is_fresh = True
        self.cells: dict[str, dict[str, Cell]] = {}
        self.blind: dict[str, Blind] = {}
        self.ahead: dict[tuple[str, str], list[tuple[Event, int, tuple[int, ...]]]] = {}
        self.changed: set[tuple[str, str]] = set()

    def steps(self, event: Event) -> tuple[int, ...] | None:
        """Return which steps of the tracker the event is, the last first; empty for one that does not count, None where
        that cannot be determined."""
        found = [matched(match, event) for match in self.tracker.matches]
        if None in found:
            return None
        return tuple(step for step in range(len(found) - 1, -1, -1) if found[step])

    def value(self, agent: str, mandate: str, resource: str, now: int) -> int | Unknown:
        """Return the value of one owner, or why it is unknown."""
        if not self.is_read:
            return "unread"
        owner = mandate if self.of_mandate else agent
        oldest = oldest_inside(now, self.within_ms)
        if self.blind:
            blind = self.blind.get(owner)
            if blind is not None and blind.newest >= oldest:
                return blind.because
        cells = self.cells.get(owner)
        key = resource if self.of_resource else ALL
        cell = cells.get(key) if cells is not None else None
        if not self.ahead:
            return cell.value(oldest) if cell is not None else 0
        waiting = self.ahead.get((owner, key), ())
        if isinstance(cell, Steps) or (cell is None and self.tracker.sequence):
            cell = cell or Steps((NEVER,) * len(self.tracker.matches), 0)
            return cell.value(oldest, [steps for _, _, steps in waiting])
        amounts = [amount for _, amount, _ in waiting]
        return cell.value(oldest, amounts) if cell is not None else min(INTEGER_MAX, sum(amounts))

    def reach(self, event: Event, steps: tuple[int, ...]) -> None:
        """Count an event before it has an index in the log."""
        place = self._place(event)
        if place is not None:
            self.ahead.setdefault(place, []).append((event, self._amount(event) or 0, steps))

    def withdraw(self, event: Event) -> None:
        """Remove an event that was counted ahead."""
        place = self._place(event)
        waiting = self.ahead.get(place, []) if place is not None else []
        left = [one for one in waiting if one[0] is not event]
        if place is not None and len(left) < len(waiting):
            self.ahead[place] = left
            if not left:
                del self.ahead[place]

    def fold(self, event: Event, steps: tuple[int, ...] | None) -> None:
        """Count an event permanently. steps: as `steps` returned, not empty."""
        owner = event.mandate if self.of_mandate else event.agent
        piece = piece_of(event.at, self.within_ms)
        place, amount = self._place(event), self._amount(event)
        if steps is None or place is None or amount is None:
            self.lose(owner, piece, "fields")
            return
        if not amount:
            return
        cells = self.cells.setdefault(owner, {})
        cell = cells.get(place[1])
        if cell is None and len(cells) >= RESOURCES_MAX and not self._made_room(owner, piece):
            return
        if isinstance(cell, Tally):
            cells[place[1]] = cell.more(piece, amount)
        elif isinstance(cell, Steps):
            cells[place[1]] = cell.more(piece, steps)
        elif not self.tracker.sequence:
            cells[place[1]] = Tally((piece,), (amount,), amount)
        elif 0 in steps:
            cells[place[1]] = Steps((NEVER,) * len(self.tracker.matches), piece).more(piece, steps)
        else:
            return
        self.changed.add(place)

    def take_back(self, event: Event) -> None:
        """Remove an event that was counted permanently, as far as its piece of the window is still there."""
        place, amount = self._place(event), self._amount(event)
        cells = self.cells.get(place[0], {}) if place is not None else {}
        cell = cells.get(place[1]) if place is not None else None
        if place is None or not amount or not isinstance(cell, Tally):
            return
        left = cell.less(piece_of(event.at, self.within_ms), amount)
        if left is cell:
            return
        if left is None:
            del cells[place[1]]
        else:
            cells[place[1]] = left
        self.changed.add(place)

    def lose(self, owner: str, piece: int, because: BlindBecause) -> None:
        """Note that an event of this owner is not counted: the owner's values are unknown while it would be inside the
        window."""
        before = self.blind.get(owner)
        if before is None or before.newest < piece:
            self.blind[owner] = Blind(piece, because)
            self.changed.add((owner, BLIND))

    def forget(self, owner: str) -> None:
        """Remove an owner that is no longer queried."""
        self.changed.update((owner, key) for key in self.cells.pop(owner, ()))
        if self.blind.pop(owner, None) is not None:
            self.changed.add((owner, BLIND))

    def forget_on(self, owner: str, keys: Iterable[str]) -> None:
        """Reset what was counted of this owner under these keys."""
        cells = self.cells.get(owner, {})
        for key in keys:
            if cells.pop(key, None) is not None:
                self.changed.add((owner, key))

    def is_idle(self, owner: str, now: int) -> bool:
        """Whether no event of this owner is inside the window, or may be missing in it. Never without a window."""
        oldest = oldest_inside(now, self.within_ms)
        blind = self.blind.get(owner)
        return (
            bool(self.within_ms)
            and all(cell.newest < oldest for cell in self.cells.get(owner, {}).values())
            and (blind is None or blind.newest < oldest)
        )

    def until(self, now: int) -> None:
        """At a start, move later events to this time, so that counts from a clock that was ahead do not persist."""
        piece = piece_of(now, self.within_ms)
        for owner, key, kept in self.all():
            earlier = kept.until(piece)
            if earlier is not kept:
                self.put(owner, key, earlier)
                self.changed.add((owner, key))

    def all(self) -> Iterator[tuple[str, str, Kept]]:
        """Yield all stored values, by owner and key."""
        yield from [(owner, BLIND, blind) for owner, blind in self.blind.items()]
        for owner, cells in self.cells.items():
            yield from [(owner, key, cell) for key, cell in cells.items()]

    def at(self, owner: str, key: str) -> Kept | None:
        """Return the current value of an owner and key."""
        return self.blind.get(owner) if key == BLIND else self.cells.get(owner, {}).get(key)

    def put(self, owner: str, key: str, kept: Kept) -> bool:
        """Take a stored value. False for one that cannot belong to this tracker."""
        if isinstance(kept, Blind):
            self.blind[owner] = kept
            return key == BLIND
        steps = len(kept.starts) if isinstance(kept, Steps) else 0
        self.cells.setdefault(owner, {})[key] = kept
        wanted = len(self.tracker.matches) if self.tracker.sequence else 0
        return steps == wanted and key != BLIND and (key == ALL) != self.of_resource

    def _place(self, event: Event) -> tuple[str, str] | None:
        owner = event.mandate if self.of_mandate else event.agent
        if not self.of_resource:
            return owner, ALL
        return (owner, event.resource) if event.resource is not None else None

    def _amount(self, event: Event) -> int | None:
        if not self.tracker.sum:
            return 1
        if event.arguments is None:
            return None
        amount = event.arguments.get(self.tracker.sum)
        # A negative amount wins nothing back. A value that is no whole number is refused wherever it is declared.
        return min(INTEGER_MAX, amount) if type(amount) is int and amount > 0 else 0

    def _made_room(self, owner: str, piece: int) -> bool:
        """Whether there is space for another resource, after dropping those outside the window. Tried once in each
        piece."""
        blind = self.blind.get(owner)
        if blind is not None and blind.newest >= piece:
            return False
        cells = self.cells[owner]
        for key in [key for key, cell in cells.items() if self.within_ms and cell.newest < piece - PIECES]:
            del cells[key]
            self.changed.add((owner, key))
        if len(cells) < RESOURCES_MAX:
            return True
        self.lose(owner, piece, "resources")
        return False


def needs_fields(trackers: Iterable[Tracker]) -> bool:
    """Whether sealed fields must be decrypted to recount these trackers."""
    return any(
        one.sum or one.same_resource or any(m.kinds or m.environments or m.sensitivities for m in one.matches)
        for one in trackers
    )
