"""Streams of events and what waits in them, for as long as the process lives."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from answerable.ports.event_register import QueueState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from answerable.core.incident.event_stream import EventStream
    from answerable.ports.event_register import Waiting


@dataclass(slots=True)
class _Queue:
    stream: EventStream
    waiting: dict[str, Waiting] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    left_out: int = 0
    attempts: int = 0
    next_at: int = 0
    busy_until: int = 0


class MemoryEventRegister:
    """Implements ports.event_register.EventRegister."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[str, _Queue] = {}
        self._read_to: dict[str, int] = {}

    def streams(self) -> tuple[EventStream, ...]:
        """As the port says."""
        with self._lock:
            return tuple(one.stream for one in self._queues.values())

    def find(self, stream: str) -> EventStream | None:
        """As the port says."""
        with self._lock:
            found = self._queues.get(stream)
            return found.stream if found else None

    def put(self, stream: EventStream) -> bool:
        """As the port says."""
        with self._lock:
            found = self._queues.get(stream.id)
            if (found.stream.revision if found else 0) != stream.revision:
                return False
            kept = replace(stream, revision=stream.revision + 1)
            if found:
                found.stream = kept
            else:
                self._queues[stream.id] = _Queue(kept)
            return True

    def remove(self, stream: str) -> None:
        """As the port says."""
        with self._lock:
            self._queues.pop(stream, None)

    def read_to(self, log: str) -> int | None:
        """As the port says."""
        with self._lock:
            return self._read_to.get(log)

    def add(self, events: Sequence[Waiting], *, waiting_max: int, log: str = "", read_to: int = 0) -> None:
        """As the port says."""
        with self._lock:
            for one in events:
                queue = self._queues.get(one.stream)
                if queue is None or one.id in queue.waiting:
                    continue
                if len(queue.waiting) >= waiting_max:
                    queue.left_out += 1
                else:
                    queue.waiting[one.id] = one
            if log:
                self._read_to[log] = max(read_to, self._read_to.get(log, 0))

    def queue(self, stream: str) -> QueueState:
        """As the port says."""
        with self._lock:
            found = self._queues.get(stream)
            if found is None:
                return QueueState()
            return QueueState(
                waiting=len(found.waiting),
                left_out=found.left_out,
                attempts=found.attempts,
                next_at=found.next_at,
            )

    def waiting(self, stream: str, *, count_max: int) -> tuple[Waiting, ...]:
        """As the port says."""
        with self._lock:
            found = self._queues.get(stream)
            return tuple(found.waiting.values())[:count_max] if found else ()

    def shown(self, stream: str, ids: Collection[str]) -> None:
        """As the port says."""
        with self._lock:
            if found := self._queues.get(stream):
                found.shown.update(one for one in ids if one in found.waiting)

    def taken(self, stream: str, ids: Collection[str], *, only_shown: bool) -> int:
        """As the port says."""
        with self._lock:
            found = self._queues.get(stream)
            if found is None:
                return 0
            gone = [one for one in ids if one in found.waiting and (one in found.shown or not only_shown)]
            for one in gone:
                found.waiting.pop(one, None)
                found.shown.discard(one)
            return len(set(gone))

    def drop(self, stream: str) -> None:
        """As the port says."""
        with self._lock:
            if found := self._queues.get(stream):
                found.waiting.clear()
                found.shown.clear()

    def claim(self, stream: str, *, now: int, until: int) -> bool:
        """As the port says."""
        with self._lock:
            found = self._queues.get(stream)
            if found is None or now < found.busy_until <= until:
                return False
            found.busy_until = until
            return True

    def release(self, stream: str, *, attempts: int, next_at: int) -> None:
        """As the port says."""
        with self._lock:
            if found := self._queues.get(stream):
                found.attempts, found.next_at, found.busy_until = attempts, next_at, 0
