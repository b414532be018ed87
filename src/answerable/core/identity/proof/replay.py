"""What was accepted before: nonces of an agent, for as long as a replay could otherwise pass, and numbers of messages
on connections.

Laws:
- a nonce is accepted once, whatever the wall clock does: what is forgotten leaves behind a floor, and nothing created
  at or before the floor is accepted any more;
- the memory of one agent is bounded, and full means refused.
"""

from __future__ import annotations

from typing import Final, Literal

Acceptance = Literal["new", "seen", "forgotten", "full"]


class ReplayMemory:
    """Nonces by the second they were created in. The caller holds a lock.

    nonces_max: how many are remembered. retention_seconds: how long after a nonce's acceptance it could still pass
    the check of time, measured on a clock that never goes back.
    """

    __slots__ = ("_count", "_floor", "_nonces_max", "_retention_seconds", "_seconds", "accepted")

    def __init__(self, *, nonces_max: int, retention_seconds: int) -> None:
        self._nonces_max: Final = nonces_max
        self._retention_seconds: Final = retention_seconds
        self._seconds: dict[int, tuple[set[str], list[float]]] = {}
        self._count = 0
        self._floor = -1
        self.accepted = 0
        """How many were accepted in all."""

    def accept(self, nonce: str, *, created: int, at: float) -> Acceptance:
        """Remember the nonce; `created` in Unix seconds, `at` in monotonic seconds."""
        if created <= self._floor:
            return "forgotten"
        found = self._seconds.get(created)
        if found is None or self._count >= self._nonces_max:
            self._forget(at)
            if created <= self._floor:
                return "forgotten"
            if self._count >= self._nonces_max:
                return "seen" if found is not None and nonce in found[0] else "full"
            found = self._seconds.setdefault(created, (set(), [at]))
        nonces, last_use = found
        if nonce in nonces:
            return "seen"
        nonces.add(nonce)
        last_use[0] = at
        self._count += 1
        self.accepted += 1
        return "new"

    def _forget(self, at: float) -> None:
        # A second stays while its youngest nonce could still pass, so a whole second is forgotten at once.
        for created in [
            c for c, (_, last) in self._seconds.items() if at - last[0] > self._retention_seconds
        ]:
            self._count -= len(self._seconds.pop(created)[0])
            self._floor = max(self._floor, created)


class ConnectionSequences:
    """The last message number of each connection. The caller holds a lock.

    Only the `connections_max` most recently used connections are remembered; what is forgotten leaves behind a floor,
    and a connection that is not remembered and not above the floor is refused, so it has to be made anew.
    """

    __slots__ = ("_connections_max", "_floor", "_last")

    def __init__(self, *, connections_max: int) -> None:
        self._connections_max: Final = connections_max
        self._last: dict[int, int] = {}
        self._floor = -1

    def accept(self, connection: int, sequence: int) -> bool:
        """True when the number is above all earlier ones of this connection."""
        last = self._last.pop(connection, None)
        if last is None:
            if connection <= self._floor:
                return False
            last = 0
        # Popped and put back, so that the order of the dict is the order of last use.
        self._last[connection] = max(last, sequence)
        if len(self._last) > self._connections_max:
            oldest = next(iter(self._last))
            del self._last[oldest]
            self._floor = max(self._floor, oldest)
        return sequence > last
