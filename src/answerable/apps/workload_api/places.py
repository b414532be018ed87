"""Limits of the Workload API's connections, and the count of present connections."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from answerable.apps.workload_api.peer import PeerProcess


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Limits of connections.

    connections_max: concurrent, overall, of one user, of one process; more are disconnected. streams_max: running RPCs
    of a connection. request_bytes_max: of one RPC, everything the client sends. first_byte_seconds: from connecting.
    idle_seconds: without an RPC. receive_seconds: for the request of an RPC, and for the answer to a PING.
    send_seconds: for accepting one message, or for reading on when too much waits to be sent. resets_max: cancelled
    RPCs in a minute. recheck_seconds: interval at which an open stream identifies its process again, changes or not.
    """

    connections_max: int = 1024
    connections_per_user_max: int = 256
    connections_per_process_max: int = 32
    streams_max: int = 64
    request_bytes_max: int = 131_072
    first_byte_seconds: float = 10.0
    idle_seconds: float = 600.0
    receive_seconds: float = 15.0
    send_seconds: float = 30.0
    resets_max: int = 600
    recheck_seconds: float = 60.0


class Places:
    """Counts the present connections."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._users: Counter[int] = Counter()
        self._processes: Counter[tuple[int, int]] = Counter()
        self.taken = 0

    def take(self, peer: PeerProcess) -> bool:
        """Whether a place was free and is now taken; release it with `leave`."""
        limits, process = self._limits, (peer.pid, peer.started)
        if (
            self.taken >= limits.connections_max
            or self._users[peer.uid] >= limits.connections_per_user_max
            or self._processes[process] >= limits.connections_per_process_max
        ):
            return False
        self.taken += 1
        self._users[peer.uid] += 1
        self._processes[process] += 1
        return True

    def leave(self, peer: PeerProcess) -> None:
        """Release what `take` took."""
        self.taken -= 1
        self._users[peer.uid] -= 1
        process = (peer.pid, peer.started)
        self._processes[process] -= 1
        # Delete zero counts: processes come and go, and the counters would grow.
        if not self._processes[process]:
            del self._processes[process]
        if not self._users[peer.uid]:
            del self._users[peer.uid]
