"""Define the limits of a log in files. Every limit is a field with a unit and a default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from answerable.core.ledger.codec import SEGMENT_BYTES_MAX
from answerable.errors.codes.services import SETTINGS_LEDGER

Commit: TypeAlias = Literal["auto", "inline", "thread"]

SEGMENT_BYTES_MIN: Final = 16_384
_MIB: Final = 1_048_576
FIRST_SEGMENT_BYTES: Final = 4 * _MIB
"""A new log begins with this; each further segment is as large as all so far, up to `segment_bytes`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogFilesSettings:
    """Raises Malformed (`settings.ledger`) for values out of range.

    segment_bytes: size of one zero-filled file of a large log. reserve_bytes: space reserved for owed entries when no
    further segment can be created; None means 1 MiB, at most a quarter of a segment. queue_bytes_max,
    queue_entries_max: what may wait for one sync. append_wait_seconds_max: how long an append waits for space in that
    queue. commit: sync in the event loop, in a thread, or as measured syncs decide, at opening and later, with
    inline_sync_seconds_max as the threshold. allocation_retry_seconds: between two attempts to create a segment or a
    checkpoint when the disk is full. seal_slice_entries: entries hashed between two turns of the event loop during a
    background seal. unsealed_bytes_max: what may be durable and not sealed, all of which the next opening reads; beyond
    it appends wait for a seal. seal_unsealed_bytes: from this amount on, sealing starts at once.
    """

    segment_bytes: int = 64 * _MIB
    reserve_bytes: int | None = None
    queue_bytes_max: int = 16 * _MIB
    queue_entries_max: int = 65_536
    append_wait_seconds_max: float = 2.0
    commit: Commit = "auto"
    inline_sync_seconds_max: float = 0.000_5
    allocation_retry_seconds: float = 5.0
    seal_slice_entries: int = 128
    unsealed_bytes_max: int = 64 * _MIB
    seal_unsealed_bytes: int = 48 * _MIB

    def __post_init__(self) -> None:
        if not SEGMENT_BYTES_MIN <= self.segment_bytes <= SEGMENT_BYTES_MAX:
            raise SETTINGS_LEDGER(
                f"segment_bytes is {self.segment_bytes}, expected {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX}"
            )
        if not 0 <= self.reserve < self.segment_bytes // 2:
            raise SETTINGS_LEDGER(f"reserve_bytes is {self.reserve}, expected less than half a segment")
        if not 0 < self.seal_unsealed_bytes <= self.unsealed_bytes_max - self.reserve:
            raise SETTINGS_LEDGER(
                f"unsealed_bytes_max is {self.unsealed_bytes_max}, expected at least "
                f"{self.seal_unsealed_bytes + self.reserve}: seal_unsealed_bytes ({self.seal_unsealed_bytes}) and "
                f"{self.reserve} bytes reserved for what must be recorded when there is no more room"
            )
        counts = (self.queue_bytes_max, self.queue_entries_max, self.seal_slice_entries)
        seconds = (self.append_wait_seconds_max, self.inline_sync_seconds_max, self.allocation_retry_seconds)
        if min(counts) < 1 or min(seconds) < 0:
            raise SETTINGS_LEDGER("a ledger limit is below its minimum")

    @property
    def reserve(self) -> int:
        """Bytes reserved for owed entries."""
        return min(_MIB, self.segment_bytes // 4) if self.reserve_bytes is None else self.reserve_bytes
