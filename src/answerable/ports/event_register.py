"""Port: event streams, the queue of unsent events of each, and up to which ledger entry events were queued."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from answerable.core.incident.event_stream import EventStream


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One event queued for one stream. id: unique in its stream. at: when it was created, Unix milliseconds. body: the
    payload, or the source from which the payload is built."""

    stream: str
    id: str
    at: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """State of a queue. waiting: number of queued events. left_out: total number of events dropped because the queue
    was full.

    attempts: consecutive failed attempts of the first event. next_at: earliest time of the next attempt, Unix
    milliseconds.
    """

    waiting: int = 0
    left_out: int = 0
    attempts: int = 0
    next_at: int = 0


class EventRegister(Protocol):
    """Promises: a write is on stable storage when the call returns, whole or not at all, and every process on the same
    register sees it at its next call; events of a stream keep the order in which they were added; an event stays in its
    stream from `add` until `taken`, also when processes end meanwhile.

    Raises only Unavailable (`register.*`).
    """

    def streams(self) -> tuple[EventStream, ...]:
        """Return all streams, in the order of creation."""
        ...

    def find(self, stream: str) -> EventStream | None:
        """Return the stream of this id, or None."""
        ...

    def put(self, stream: EventStream) -> bool:
        """Replace the stored stream that has the same id and revision, and increment the revision; a new stream has
        revision 0.

        False, and nothing changes, where the stored stream was changed or removed meanwhile, or a new one already
        exists.
        """
        ...

    def remove(self, stream: str) -> None:
        """Remove the stream and its queue. A missing stream is not an error."""
        ...

    def read_to(self, log: str) -> int | None:
        """Return up to which entry `log` was read; None where it never was."""
        ...

    def add(self, events: Sequence[Waiting], *, waiting_max: int, log: str = "", read_to: int = 0) -> None:
        """Append events to their streams and store how far `log` was read, in one write.

        An event whose id is already in its stream, or whose stream does not exist, is skipped. A stream with
        `waiting_max` queued events takes no more: further ones are counted in `left_out`. `read_to` never decreases;
        without `log` it is unchanged.
        """
        ...

    def queue(self, stream: str) -> QueueState:
        """Return the state of a stream's queue; the empty state for a missing stream."""
        ...

    def waiting(self, stream: str, *, count_max: int) -> tuple[Waiting, ...]:
        """Return the first queued events, in order."""
        ...

    def shown(self, stream: str, ids: Collection[str]) -> None:
        """Note that these events were delivered to the receiver, which has not acknowledged them yet."""
        ...

    def taken(self, stream: str, ids: Collection[str], *, only_shown: bool) -> int:
        """Remove events that the receiver acknowledged. only_shown: only those that `shown` noted. Returns how many."""
        ...

    def drop(self, stream: str) -> None:
        """Empty the stream's queue."""
        ...

    def claim(self, stream: str, *, now: int, until: int) -> bool:
        """Lock a stream for sending, unless another process holds it; the lock expires at `until`. An existing lock
        with a later expiry was made before the clock was set back, and is ignored."""
        ...

    def release(self, stream: str, *, attempts: int, next_at: int) -> None:
        """Release the stream and store when the next attempt may be made."""
        ...
