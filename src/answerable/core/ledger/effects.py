"""What was done under a name that was revoked: by the log of one process, and of all processes of a deployment.

Laws: what a log was not asked for is said beside what others answered; joining answers loses no count, and names first
what cannot be undone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from answerable.core.identity.names.principal import AgentId, UnixMillis

if TYPE_CHECKING:
    from collections.abc import Iterable

DONE_NAMED_MAX: Final = 100
IN_FLIGHT_NAMED_MAX: Final = 1_000

DoneStatus = Literal["succeeded", "indeterminate"]
Undoing = Literal["not_reversible", "reversible", "read"]
"""Whether the registry says that it can be undone. What was read cannot be unread."""

_ORDER: Final[dict[Undoing, int]] = {"not_reversible": 0, "reversible": 1, "read": 2}


class InFlight(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An action that had been started when something was ended, and had no end yet.

    log, index: of its intent. due_at: by when it has ended, or is written down as one of which that is not known.
    """

    log: str
    index: int
    action: str
    agent: AgentId
    capability: str
    since: UnixMillis
    due_at: UnixMillis


class Done(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An action that took effect, or may have. log, index: of its intent."""

    log: str
    index: int
    action: str
    agent: AgentId
    capability: str
    at: UnixMillis
    status: DoneStatus
    undoing: Undoing


class Effects(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one log. in_flight: the oldest first, at most IN_FLIGHT_NAMED_MAX; in_flight_count: all. done: as `ordered`.
    counted: what was done, by `undoing`.

    looked_from: the first entry that was looked at, with `entries` entries there; what was done before it is not known.
    """

    log: str
    in_flight: tuple[InFlight, ...]
    in_flight_count: int
    done: tuple[Done, ...]
    counted: dict[Undoing, int]
    looked_from: int
    entries: int


class NotAsked(msgspec.Struct, frozen=True, kw_only=True):
    """A log whose process gave no answer: what it has in flight, and has done, is in no other answer. why: in words."""

    log: str
    why: str


def ordered(done: Iterable[Done]) -> tuple[Done, ...]:
    """What cannot be undone first, then the newest first; at most DONE_NAMED_MAX."""
    found = sorted(done, key=lambda one: (_ORDER[one.undoing], -one.at, one.log, -one.index))
    return tuple(found[:DONE_NAMED_MAX])


def counts(effects: Iterable[Effects]) -> dict[Undoing, int]:
    """How much was done in all of these logs, by whether it can be undone."""
    found = dict.fromkeys(_ORDER, 0)
    for one in effects:
        for undoing, count in one.counted.items():
            found[undoing] += count
    return found
