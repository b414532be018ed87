"""Replay protection in memory: the nonces that an agent has used, for as long as a replay could pass otherwise, and the
message numbers of connections.

Laws:
- a nonce is accepted once, whatever the wall clock does: forgetting a nonce raises a floor, and nothing created at or
 before the floor is accepted any more;
- the memory of one agent is bounded; when it is full, messages are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Acceptance = Literal["new", "seen", "forgotten", "full"]


class ReplayMemory:
    """Used nonces, by the second of their creation. The caller holds a lock.

    nonces_max: how many are remembered. retention_seconds: how long after its acceptance a nonce could still pass the
    time check, measured on a monotonic clock.
    """

    __slots__ = ("_count", "_floor", "_nonces_max", "_retention_seconds", "_seconds", "accepted")

    def __init__(self, *, nonces_max: int, retention_seconds: int) -> None:
        self._nonces_max: Final = nonces_max
        self._retention_seconds: Final = retention_seconds
        self._seconds: dict[int, tuple[set[str], list[float]]] = {}
        self._count = 0
        self._floor = -1
        self.accepted = 0
        """Number of nonces accepted in all."""

    def accept(self, nonce: str, *, created: int, at: float) -> Acceptance:
        """Check and remember a nonce. created: Unix seconds. at: monotonic seconds."""
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
        # A second is forgotten as a whole, once even its most recently accepted nonce could no longer pass.
        for created in [
            c for c, (_, last) in self._seconds.items() if at - last[0] > self._retention_seconds
        ]:
            self._count -= len(self._seconds.pop(created)[0])
            self._floor = max(self._floor, created)


class UsedNonces:
    """The nonces of all agents, under one epoch, which every signature names. The caller holds a lock.

    Another epoch begins with an empty memory. So nothing that was accepted under an earlier one passes, whatever any
    clock says. One begins where a nonce is refused as `forgotten`: its time fits the clock, which therefore was set
    back, and nobody could sign until the time that it had shown.

    new_epoch: returns one that never was. nonces_max, retention_seconds: of each agent, as in ReplayMemory.
    """

    __slots__ = ("_memories", "_new_epoch", "_nonces_max", "_retention_seconds", "epoch")

    def __init__(self, *, new_epoch: Callable[[], str], nonces_max: int, retention_seconds: int) -> None:
        self._new_epoch: Final = new_epoch
        self._nonces_max: Final = nonces_max
        self._retention_seconds: Final = retention_seconds
        self._memories: dict[str, ReplayMemory] = {}
        self.epoch = new_epoch()

    def take(
        self, agent: str, nonce: str, *, epoch: str, created: int, at: float
    ) -> tuple[Acceptance | Literal["epoch"], int]:
        """Check and remember a nonce whose time fits the clock. Return what came of it, `epoch` for a nonce of another
        epoch, and the number of this agent's accepted nonces. Parameters as in ReplayMemory."""
        if epoch != self.epoch:
            return "epoch", 0
        memory = self._memories.get(agent)
        if memory is None:
            memory = self._memories[agent] = ReplayMemory(
                nonces_max=self._nonces_max, retention_seconds=self._retention_seconds
            )
        accepted = memory.accept(nonce, created=created, at=at)
        if accepted != "forgotten":
            return accepted, memory.accepted
        self._memories.clear()
        self.epoch = self._new_epoch()
        return "epoch", 0


class ConnectionSequences:
    """The last message number of each connection. The caller holds a lock.

    Only the `connections_max` most recently used connections are remembered. Forgetting a connection raises a floor; an
    unknown connection at or below the floor is refused, so the client must reconnect.
    """

    __slots__ = ("_connections_max", "_floor", "_last")

    def __init__(self, *, connections_max: int) -> None:
        self._connections_max: Final = connections_max
        self._last: dict[int, int] = {}
        self._floor = -1

    def accept(self, connection: int, sequence: int) -> bool:
        """Whether the number is above all earlier numbers of this connection; then it is remembered."""
        last = self._last.pop(connection, None)
        if last is None:
            if connection <= self._floor:
                return False
            last = 0
        # Remove and insert again, so that the dict is ordered by last use.
        self._last[connection] = max(last, sequence)
        if len(self._last) > self._connections_max:
            oldest = next(iter(self._last))
            del self._last[oldest]
            self._floor = max(self._floor, oldest)
        return sequence > last
