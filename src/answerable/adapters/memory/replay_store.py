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
        partitions_max: int = PARTITIONS_MAX,
        uses_per_partition_max: int = USES_PER_PARTITION_MAX,
    ) -> None:
        """Raises Malformed (`replay.limits`)."""
        if len(epoch) != EPOCH_BYTES or min(partitions_max, uses_per_partition_max) < 1:
            message = f"a replay store has an epoch of {EPOCH_BYTES} bytes and room for at least one use"
            raise Malformed(message, code="replay.limits")
        self._epoch = epoch
        self._partitions_max = partitions_max
        self._uses_max = uses_per_partition_max
        self._lock = threading.Lock()
        self._uses: dict[bytes, dict[bytes, float]] = {}

    @property
    def epoch(self) -> bytes:
        """As the port says."""
        return self._epoch

    def accept(self, partition: bytes, digest: bytes, *, until: float, at: float) -> ReplayAnswer:
        """As the port says."""
        if len(partition) != PARTITION_BYTES or len(digest) != DIGEST_BYTES:
            raise Malformed("a partition has 32 bytes and a digest 16", code="replay.limits")
        with self._lock:
            uses = self._uses.get(partition)
            if uses is None:
                if len(self._uses) >= self._partitions_max and not self._emptied(at):
                    return "full"
                uses = self._uses[partition] = {}
            ends = uses.get(digest)
            if ends is not None and ends > at:
                return "seen"
            if ends is None and len(uses) >= self._uses_max:
                for old in [one for one, end in uses.items() if end <= at]:
                    del uses[old]
                if len(uses) >= self._uses_max:
                    return "full"
            uses[digest] = until
            return "new"

    def _emptied(self, at: float) -> bool:
        """Forget partitions of which every use has passed; whether there were any."""
        old = [name for name, uses in self._uses.items() if all(end <= at for end in uses.values())]
        for name in old:
            del self._uses[name]
        return bool(old)
