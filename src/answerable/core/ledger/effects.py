"""What was done under a revoked name, by the log of one process and over all processes of a deployment.

Laws: a log that could not be queried is listed beside the answers of the others; joining answers loses no count, and
lists irreversible actions first.
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
"""Whether the registry says that the action can be undone. What was read cannot be unread."""

_ORDER: Final[dict[Undoing, int]] = {"not_reversible": 0, "reversible": 1, "read": 2}


class InFlight(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An action that was running when something was ended.

    log, index: of its intent. due_at: latest time by which it has ended or is recorded as indeterminate.
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
    """The effects in one log. in_flight: oldest first, at most IN_FLIGHT_NAMED_MAX; in_flight_count: all. done: as
    `ordered`. counted: number of done actions, by `undoing`.

    looked_from: the first entry examined, with `entries` entries in the log; what was done before it is unknown.
    """

    log: str
    in_flight: tuple[InFlight, ...]
    in_flight_count: int
    done: tuple[Done, ...]
    counted: dict[Undoing, int]
    looked_from: int
    entries: int


class NotAsked(msgspec.Struct, frozen=True, kw_only=True):
    """A log whose process gave no answer; no other answer covers its actions. why: in words."""

    log: str
    why: str


def ordered(done: Iterable[Done]) -> tuple[Done, ...]:
    """Return irreversible actions first, then the newest first; at most DONE_NAMED_MAX."""
    found = sorted(done, key=lambda one: (_ORDER[one.undoing], -one.at, one.log, -one.index))
    return tuple(found[:DONE_NAMED_MAX])


def address_in(own: str, log: str, index: int) -> str:
    """Return the address of an entry for whoever asks the log `own`: with its shard where it is in another log."""
    return str(index) if log == own else f"{log.rpartition('/')[2]}/{index}"


def counts(effects: Iterable[Effects]) -> dict[Undoing, int]:
    """Return how many actions were done in all of these logs, by whether they can be undone."""
    found = dict.fromkeys(_ORDER, 0)
    for one in effects:
        for undoing, count in one.counted.items():
            found[undoing] += count
    return found
