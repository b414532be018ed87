"""Maintain and read the log of logs: one process writes the newest checkpoint of each shard into it, and every process
reads it.

A shard that went back, forked, changed its key or disappeared gets no head: a gap is recorded, the shard is in alarm,
and it is not covered until it extends its last head again. Entries in the log of logs are never taken back.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import anyio
import anyio.lowlevel

from answerable.core.ledger.shards import (
    HEADS,
    SHARDS_MAX,
    Coverage,
    ShardGap,
    ShardHead,
    looked_at,
    shard_origin,
)
from answerable.core.tlog.checkpoint import verified_checkpoint
from answerable.core.tlog.merkle import verify_consistency
from answerable.errors import AnswerableError, Broken, Malformed, Unverified, shown
from answerable.errors.codes.ledger import LEDGER_CORRUPT, LEDGER_ROLLED_BACK
from answerable.flows.workloads.prove_to_peer import newest_head

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from answerable.core.tlog.checkpoint import Checkpoint
    from answerable.core.tlog.note import VerifierKey
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger
    from answerable.ports.published_log import PublishedLog

ENTRIES_PER_TURN: Final = 256

State: TypeAlias = Literal["waiting", "ok", "alarm"]

_WHY: Final = {
    "rolled_back": "its newest checkpoint covers {size} entries, its last head {covered}: it was rolled back",
    "forked": "its checkpoint of size {size} does not lead on from its last head, of size {covered}: it was forked",
    "other_key": "it signs with another key, or under another name, than its last head",
    "unsigned": "its newest checkpoint is not signed by its key",
    "missing": "it has no checkpoint any more, its last head covers {covered} entries",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardState:
    """State of one shard in the log of logs. waiting: it has no head yet. size: entries that its newest head covers.

    reason: why there is an alarm.
    """

    origin: str
    state: State
    size: int = 0
    reason: str = ""


class Covering:
    """One process's view of the log of logs, and the writer of it in the process that maintains it.

    base: common prefix of the names of all logs. Use only in the event loop's thread.
    """

    def __init__(self, *, base: str, clock: Clock) -> None:
        self.origin = shard_origin(base, HEADS)
        self._base, self._clock = base, clock
        self._coverage = Coverage()
        self._read = 0
        self._newest: Checkpoint | None = None
        self._waiting: set[str] = set()
        self._unreadable: dict[str, str] = {}

    def states(self) -> tuple[ShardState, ...]:
        """Return the state of each shard, by name."""
        heads, gaps = self._coverage.heads, self._coverage.gaps
        return tuple(
            self._state(origin) for origin in sorted({*heads, *gaps, *self._waiting, *self._unreadable})
        )

    def head_of(self, origin: str) -> ShardHead | None:
        """Return the newest head of a shard that was read or written."""
        return self._coverage.heads.get(origin)

    async def follow(self, heads: PublishedLog, key: VerifierKey) -> None:
        """Read on in the log of logs while another process maintains it. key: the key of the log of logs.

        Raises Broken (`ledger.rolled_back`) when it does not extend what was read before, or has unsigned heads
        (`ledger.corrupt`); and as the port.
        """
        note = heads.checkpoint()
        if note is None:
            return
        try:
            newest = verified_checkpoint(note, origin=self.origin, log_keys=(key,))
        except (Malformed, Unverified) as fault:
            raise LEDGER_CORRUPT(f"the log of logs is not signed by its key: {fault.message}") from None
        self._require_continuation(heads, newest)
        for leaf in heads.leaves(self._read, newest.size):
            await self._saw(leaf)
        self._take_in()
        self._newest = newest

    async def recall(self, ledger: Ledger) -> None:
        """Read on in the log of logs that this process maintains from now on. Raises as `follow`."""
        for stored in ledger.replay(self._read):
            await self._saw(stored.leaf)
        self._take_in()
        self._newest = None

    async def cover(self, ledger: Ledger, shards: Sequence[PublishedLog]) -> bool:
        """Run one round of the maintaining process: write what is new about each shard. Return whether anything was
        written.

        Call `recall` before the first round. A shard that cannot be read is in alarm and read again in the next round.
        Raises Unavailable as the ledger does.
        """
        before = self._read
        seen = set()
        self._unreadable.clear()
        for number, shard in enumerate(shards):
            origin = shard_origin(self._base, shard.name)
            seen.add(origin)
            if number >= SHARDS_MAX:
                self._unreadable[origin] = (
                    f"it is one of more than {SHARDS_MAX} shards, which are not all covered"
                )
                continue
            found = self._looked_at(origin, shard)
            if found is not None:
                await self._write(ledger, found)
        for origin in sorted(self._coverage.heads.keys() - seen):
            await self._write(ledger, self._gone(origin))
        return self._read > before

    def _looked_at(self, origin: str, shard: PublishedLog) -> ShardHead | ShardGap | None:
        before = self._coverage.heads.get(origin)
        self._waiting.discard(origin)
        try:
            key, note = shard.key(), shard.checkpoint()
            if key is None or note is None:
                if before is not None:
                    return self._gone(origin)
                self._waiting.add(origin)
                return None
            return looked_at(origin, before=before, key=key, note=note, proof=shard.consistency_proof)
        except AnswerableError as failed:
            self._unreadable[origin] = failed.message
            return None

    def _gone(self, origin: str) -> ShardGap:
        covered = self._coverage.heads[origin].size
        return ShardGap(origin=origin, why="missing", covered=covered, size=0)

    async def _write(self, ledger: Ledger, found: ShardHead | ShardGap) -> None:
        """Write a head or gap that is not written yet."""
        coverage, origin = self._coverage, found.origin
        gap = coverage.gaps.get(origin)
        if found == gap or (gap is None and found == coverage.heads.get(origin)):
            return
        await ledger.append(found.entry(at=self._clock.now()))
        self._read += 1
        if isinstance(found, ShardHead):
            coverage.covered(found)
        else:
            coverage.gaps[origin] = found

    async def _saw(self, leaf: bytes) -> None:
        with _no_head(f"entry {self._read}"):
            self._coverage.saw(leaf)
        self._read += 1
        if self._read % ENTRIES_PER_TURN == 0:
            await anyio.lowlevel.checkpoint()

    def _take_in(self) -> None:
        with _no_head("an entry"):
            self._coverage.take_in()

    def _require_continuation(self, heads: PublishedLog, newest: Checkpoint) -> None:
        """Check that the log of logs extends what this process has read, so that a reading process also detects a
        rollback."""
        before = self._newest
        if newest.size < self._read:
            raise _went_back(f"it has {newest.size} entries, {self._read} were read")
        if before is None or before.size == 0:
            return
        try:
            verify_consistency(
                old_size=before.size,
                new_size=newest.size,
                old_root=before.root,
                new_root=newest.root,
                proof=heads.consistency_proof(before.size, newest) if newest.size > before.size else (),
            )
        except Unverified:
            raise _went_back(f"its first {before.size} entries are others than were read") from None

    def _state(self, origin: str) -> ShardState:
        head = self._coverage.heads.get(origin)
        size = head.size if head is not None else 0
        gap = self._coverage.gaps.get(origin)
        if gap is not None:
            return ShardState(origin=origin, state="alarm", size=size, reason=_reason(gap))
        if origin in self._unreadable:
            return ShardState(origin=origin, state="alarm", size=size, reason=self._unreadable[origin])
        return ShardState(origin=origin, state="ok" if head is not None else "waiting", size=size)


def require_led_on(origin: str, *, shard: PublishedLog, heads: PublishedLog) -> None:
    """Check that a starting shard extends its last head; otherwise its new entries would be a fork.

    Raises Broken (`ledger.rolled_back`), and as the port does.
    """
    before = newest_head(heads, origin)
    if before is None:
        return
    key, note = shard.key(), shard.checkpoint()
    if key is None or note is None:
        found: ShardHead | ShardGap = ShardGap(origin=origin, why="missing", covered=before.size, size=0)
    else:
        found = looked_at(origin, before=before, key=key, note=note, proof=shard.consistency_proof)
    if isinstance(found, ShardGap):
        raise LEDGER_ROLLED_BACK(
            f"shard {shown(origin)} does not continue its last head in the log of logs: {_reason(found)}"
        )


def _reason(gap: ShardGap) -> str:
    known = _WHY.get(gap.why, "why not is {why}")
    return known.format(size=gap.size, covered=gap.covered, why=shown(gap.why))


@contextmanager
def _no_head(what: str) -> Iterator[None]:
    try:
        yield
    except (Malformed, Unverified) as fault:
        raise LEDGER_CORRUPT(f"{what} of the log of logs is no head of a shard: {fault.message}") from None


def _went_back(why: str) -> Broken:
    return LEDGER_ROLLED_BACK(f"the log of logs was rolled back or forked: {why}")
