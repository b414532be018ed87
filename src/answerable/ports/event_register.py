"""Port: streams of events, what waits in each, and up to which entry of the ledger it was put there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from answerable.core.incident.event_stream import EventStream


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One event for one stream. id: unique in its stream. at: Unix milliseconds, when it was made. body: what is sent,
    or made into what is sent."""

    stream: str
    id: str
    at: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """waiting: events that wait. left_out: those that were not kept, ever, because too many waited.

    attempts: tries of the first one that failed, one after the other. next_at: before which there is no other one.
    """

    waiting: int = 0
    left_out: int = 0
    attempts: int = 0
    next_at: int = 0


class EventRegister(Protocol):
    """Promises: what a call wrote is on stable storage when it returns, whole or not at all, and every process on the
    same register sees it at its next call; events of a stream keep the order in which they were added; an event is in
    its stream from `add` until `taken`, however often processes end meanwhile.

    Raises only Unavailable (`register.*`).
    """

    def streams(self) -> tuple[EventStream, ...]:
        """All, in the order in which they were made."""
        ...

    def find(self, stream: str) -> EventStream | None:
        """The one of this id, or None."""
        ...

    def put(self, stream: EventStream) -> bool:
        """Keep it in place of the one of its id and revision, with the next revision; a new one has revision 0.

        False, and nothing is done, where it was changed or removed meanwhile, or is there already.
        """
        ...

    def remove(self, stream: str) -> None:
        """Forget it, with all that waits in it; one that is not there is no fault."""
        ...

    def read_to(self, log: str) -> int | None:
        """Up to which entry `log` was read; None where it never was."""
        ...

    def add(self, events: Sequence[Waiting], *, waiting_max: int, log: str = "", read_to: int = 0) -> None:
        """Put them at the end of their streams and remember how far `log` was read, in one write.

        One whose id is in its stream, or that is of no stream, is passed over. Of a stream in which `waiting_max` wait
        no more are kept: they are counted in `left_out`. `read_to` never goes back; without `log` it is not touched.
        """
        ...

    def queue(self, stream: str) -> QueueState:
        """How it stands; of no stream, empty."""
        ...

    def waiting(self, stream: str, *, count_max: int) -> tuple[Waiting, ...]:
        """The first that wait, in order."""
        ...

    def shown(self, stream: str, ids: Collection[str]) -> None:
        """Remember that its receiver was given these."""
        ...

    def taken(self, stream: str, ids: Collection[str], *, only_shown: bool) -> int:
        """Its receiver has them: they wait no more. only_shown: only those that it was given. Returns how many."""
        ...

    def drop(self, stream: str) -> None:
        """Forget all that waits in it."""
        ...

    def claim(self, stream: str, *, now: int, until: int) -> bool:
        """Take it for sending, unless another one has it; `until` that holds at most. A claim that would hold longer
        than that was made by a clock that was set back since, and does not count."""
        ...

    def release(self, stream: str, *, attempts: int, next_at: int) -> None:
        """Give it back, and say when there may be another try."""
        ...
