"""Accepted proofs in memory: for one process, and gone with it, as its epoch is."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from answerable.errors import Malformed
from answerable.ports.replay_store import DIGEST_BYTES, EPOCH_BYTES, PARTITION_BYTES

if TYPE_CHECKING:
    from answerable.ports.replay_store import ReplayAnswer

PARTITIONS_MAX: Final = 1_024
USES_PER_PARTITION_MAX: Final = 4_096


class MemoryReplayStore:
    """Port ReplayStore. epoch: fresh random bytes for each store."""

    def __init__(
        self,
        *,
        epoch: bytes,
        since: float = 0.0,
        partitions_max: int = PARTITIONS_MAX,
        uses_per_partition_max: int = USES_PER_PARTITION_MAX,
    ) -> None:
        """Raises Malformed (`replay.limits`)."""
        if len(epoch) != EPOCH_BYTES or min(partitions_max, uses_per_partition_max) < 1:
            message = f"a replay store has an epoch of {EPOCH_BYTES} bytes and room for at least one use"
            raise Malformed(message, code="replay.limits")
        self._epoch, self._since = epoch, since
        self._partitions_max = partitions_max
        self._uses_max = uses_per_partition_max
        self._lock = threading.Lock()
        self._uses: dict[bytes, dict[bytes, float]] = {}
        self._forgotten = 0.0

    @property
    def epoch(self) -> bytes:
        """As the port says."""
        return self._epoch

    @property
    def since(self) -> float:
        """As the port says: what is in memory is replaced by nobody."""
        return self._since

    def accept(self, partition: bytes, digest: bytes, *, until: float, at: float) -> ReplayAnswer:
        """As the port says."""
        if len(partition) != PARTITION_BYTES or len(digest) != DIGEST_BYTES:
            raise Malformed("a partition has 32 bytes and a digest 16", code="replay.limits")
        with self._lock:
            uses = self._uses.get(partition, {})
            if until <= at or until <= self._forgotten or uses.get(digest, at) > at:
                return "seen"
            if partition not in self._uses:
                if len(self._uses) >= self._partitions_max:
                    self._forget(at)
                if len(self._uses) >= self._partitions_max:
                    return "full"
                self._uses[partition] = uses
            if len(uses) >= self._uses_max:
                self._forget_in(uses, at)
            if len(uses) >= self._uses_max:
                return "full"
            uses[digest] = until
            return "new"

    def _forget(self, at: float) -> None:
        """Partitions of which every use has passed."""
        for name, uses in list(self._uses.items()):
            if all(end <= at for end in uses.values()):
                self._forget_in(uses, at)
                del self._uses[name]

    def _forget_in(self, uses: dict[bytes, float], at: float) -> None:
        for digest in [one for one, end in uses.items() if end <= at]:
            self._forgotten = max(self._forgotten, uses.pop(digest))
