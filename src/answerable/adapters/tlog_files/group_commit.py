"""Write many appends with one sync: the first append of an event loop turn schedules the write for all of them.

Laws:
- an append returns after the sync of its batch, and a cancellation of another append has no effect on it;
- after the first failed write or sync nothing more is written: no retry, because a second sync may lie;
- pending entries are bounded in bytes and number, and so are durable entries that are not sealed yet; beyond the limit
  an append waits, then refuses; no entry is dropped.

Used in the event loop's thread only, except the write itself if syncs are slow, and `spare_changed`.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

from answerable.adapters.tlog_files.places import Extent
from answerable.core.ledger.batch_head import BatchHead, batch_head_key
from answerable.core.ledger.codec import (
    FRAME_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    STORED_LEAF_BYTES_MAX,
    linked_frame,
)
from answerable.core.ledger.entry import Receipt
from answerable.core.ledger.tags import OWED
from answerable.errors import Unavailable, UnavailableCode
from answerable.errors.codes.ledger import (
    LEDGER_BUSY,
    LEDGER_FULL,
    LEDGER_LEAF_TOO_LARGE,
    LEDGER_POISONED,
    LEDGER_UNWRITABLE,
)

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable

    from answerable.adapters.tlog_files.opening import Opening
    from answerable.adapters.tlog_files.sealing import LogSigner
    from answerable.adapters.tlog_files.segments import Stretch
    from answerable.adapters.tlog_files.settings import TlogFilesSettings
    from answerable.core.ledger.entry import Entry
    from answerable.errors import Effect

    Waiting: TypeAlias = "list[tuple[Future[Receipt], Receipt]]"
    """Who waits for an entry, each with a future of its own and the receipt that it completes with."""

_PIECES_PER_ENTRY: Final = 3
GATHER_TURNS_MAX: Final = 8
"""Largest number of event loop turns that a batch stays open."""


class _Batch(NamedTuple):
    """Entries that share a sync: position, bytes, callers and head, and the log's state after. total: as in Extent."""

    stretch: Stretch
    content: bytes
    waiting: Waiting
    head: BatchHead
    size: int
    chain: bytes
    total: int


class GroupSubmitted(msgspec.Struct, frozen=True, gc=False):
    """Implements ports.ledger.Submitted."""

    commit: GroupCommit
    receipt: Receipt

    def durable(self) -> Future[Receipt]:
        """Return a future that completes when the entry is durable. Each call has its own, so cancelling one affects no
        other."""
        return self.commit.durable(self.receipt)


class GroupCommit:
    """Group commit of one log. extent: the durable part. refusal: code and message, once set. seal_due: called when
    much is not sealed. disk_is_full: whether a checkpoint found no room, so that waiting for a seal is useless."""

    def __init__(self, opening: Opening, signer: LogSigner, settings: TlogFilesSettings) -> None:
        self.extent = extent = opening.stored.extent
        self.refusal: tuple[UnavailableCode, str] | None = None
        self.seal_due: Callable[[], None] = lambda: None
        self.disk_is_full = False
        self.pace = opening.pace
        self._segments, self._settings = opening.segments, settings
        self._sign, self._head_key = signer.sign, batch_head_key(signer.key)
        self._origin, self._now = signer.key.name, signer.clock.now
        self._next, self._chain = extent.size, extent.chain
        # Bytes assigned to batches, and how many of them are sealed.
        self._planned, self._sealed = extent.total, 0
        # The batch being gathered.
        self._first, self._first_chain = self._next, self._chain
        self._head = BatchHead(self._head_key, self._sign)
        self._pieces: list[bytes] = []
        self._waiting: Waiting = []
        self._queued_bytes = 0
        self._gathered = self._turns = 0
        # Whether the last batch had more than one entry: a single caller is never delayed for others.
        self._in_company = True
        # Its thread starts with the first batch.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ledger writer")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._in_flight: _Batch | None = None
        # Entries from this index on were never written when the log was poisoned.
        self._unwritten_from = 0
        # Bytes left for the batch; negative once nothing is accepted any more.
        self._room_new = self._room_owed = 0
        self._reserve = settings.reserve
        self._pieces_max = _PIECES_PER_ENTRY * settings.queue_entries_max
        self._room_waiters: list[Future[None]] = []

    async def append(self, entry: Entry) -> Receipt:
        """Make `entry` durable and return its receipt. Raises Unavailable as in the port."""
        length = FRAME_HEADER_BYTES + len(entry.leaf) + len(entry.attachment)
        if self._queued_bytes + length > self._room_new or len(self._pieces) >= self._pieces_max:
            await self.room(entry)
        if not self._pieces and self._in_flight is None:
            self._schedule()
        return await self.durable(self._enqueued(entry, length))

    def submit(self, entry: Entry) -> GroupSubmitted:
        """Assign `entry` its index at once. Raises Unavailable as `append` does, `ledger.busy` instead of waiting."""
        pieces = self._pieces
        length = FRAME_HEADER_BYTES + len(entry.leaf) + len(entry.attachment)
        lacks_room = self._queued_bytes + length > self._room_new or len(pieces) >= self._pieces_max
        if lacks_room and not self._has_room(entry, length):
            raise LEDGER_BUSY("the log is busy: try again")
        if not pieces and self._in_flight is None:
            self._schedule()
        return GroupSubmitted(self, self._enqueued(entry, length))

    def durable(self, receipt: Receipt) -> Future[Receipt]:
        """Return a new future that completes when an accepted entry is durable, or fails if the entry is lost."""
        index = receipt.index
        # get_running_loop costs a system call before Python 3.12; the batch has already called it.
        loop = self._loop if self._loop is not None and self._pieces else asyncio.get_running_loop()
        durable: Future[Receipt] = loop.create_future()
        if index >= self._first and self._pieces:
            self._waiting.append((durable, receipt))
        elif index < self.extent.size:
            durable.set_result(receipt)
        elif self._in_flight is not None and index < self._in_flight.size:
            self._in_flight.waiting.append((durable, receipt))
        else:
            durable.set_exception(self._lost(index))
        return durable

    def append_now(self, entry: Entry) -> None:
        """Write one entry at opening, while nothing else writes. Raises OSError."""
        self._enqueued(entry, FRAME_HEADER_BYTES + len(entry.leaf) + len(entry.attachment))
        batch = self._taken()
        self._completed(batch, self._segments.written(batch.stretch, batch.content))
        self._in_company = True

    def sealed(self, extent: Extent) -> None:
        """Record that a checkpoint covers everything up to here."""
        self._sealed = max(self._sealed, extent.total)
        self.disk_is_full = False
        self._room_changed()

    def seal_found_no_room(self) -> None:
        """Record that no checkpoint can be written for now, and notify callers that wait for one."""
        self.disk_is_full = True
        self._wake_room_waiters()

    @property
    def much_is_unsealed(self) -> bool:
        """Whether a checkpoint is due, regardless of the time since the last one."""
        return self.extent.total - self._sealed > self._settings.seal_unsealed_bytes

    def start(self) -> None:
        """Start accepting entries and maintaining a spare segment."""
        self._recount()
        self._segments.keep_spare(self.spare_changed)

    async def finish(self, code: UnavailableCode, message: str) -> None:
        """Accept nothing more, and wait until every accepted entry is durable or reported as lost."""
        self._refuse(code, message)
        if self._in_flight is None:
            self._flush()
        while self._in_flight is not None:
            waiter: Future[None] = asyncio.get_running_loop().create_future()
            self._room_waiters.append(waiter)
            await waiter

    def release(self) -> None:
        """Release the files and threads."""
        self._writer.shutdown()
        self._segments.close()

    def require_open(self) -> None:
        """Raises Unavailable once the log is closed or poisoned."""
        if self.refusal is not None:
            code, message = self.refusal
            raise code(message)

    def poison(self, error: BaseException, lost: Waiting) -> None:
        """Stop this log until it is reopened: the disk's content is unknown. lost: callers of the failed write."""
        number = error.errno if isinstance(error, OSError) else None
        cause = os.strerror(number).lower() if number else "internal fault"
        message = f"the log failed and accepts no entries until it is opened again: {cause}"
        never_written, self._waiting = self._waiting, []
        self._unwritten_from = self._first if self._pieces else self._next
        self._pieces = []
        code = self._segments.code_of(error)
        self._refuse(code, message)
        fates: tuple[tuple[Effect, Waiting], ...] = (("unknown", lost), ("none", never_written))
        for effect, waiting in fates:
            for durable, _ in waiting:
                if not durable.done():
                    durable.set_exception(code(message, effect=effect))

    def spare_changed(self) -> None:
        """Note that a spare segment was created, or could not be. Called by the thread that maintains it."""
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._room_changed)

    def _schedule(self) -> None:
        """Schedule the write of the batch that begins now, for the end of this turn or soon after."""
        self._loop = asyncio.get_running_loop()
        self._gathered = self._turns = 0
        self._loop.call_soon(self._gather)

    def _enqueued(self, entry: Entry, length: int) -> Receipt:
        """Add an entry to the batch; its receipt is valid once the batch is durable. length: of its frame."""
        leaf, attachment = entry.leaf, entry.attachment
        if not 0 < len(leaf) <= STORED_LEAF_BYTES_MAX:
            raise LEDGER_LEAF_TOO_LARGE(f"a leaf of {len(leaf)} bytes cannot be stored")
        pieces, index = self._pieces, self._next
        if not pieces:
            self._first, self._first_chain = index, self._chain
            self._head = BatchHead(self._head_key, self._sign)
        hashed, self._chain, header = linked_frame(leaf, attachment, chain=self._chain, batch=self._first)
        pieces += (header, leaf, attachment)
        self._queued_bytes += length
        self._next = index + 1
        return Receipt(index=index, leaf_hash=hashed, head=self._head)

    def _taken(self) -> _Batch:
        """Return the gathered batch with its position on disk, and start a new one."""
        content = b"".join(self._pieces)
        stretch = self._segments.planned(len(content), first_index=self._first, chain=self._first_chain)
        self._planned += len(content)
        batch = _Batch(stretch, content, self._waiting, self._head, self._next, self._chain, self._planned)
        self._in_company = len(self._pieces) > _PIECES_PER_ENTRY
        self._pieces, self._waiting, self._queued_bytes = [], [], 0
        self._recount()
        return batch

    def _gather(self) -> None:
        """Close the batch after the first turn of the loop without new entries, or after a few turns.

        Callers on sockets arrive in successive turns; waiting a turn for them saves a sync for each.
        """
        self._turns += 1
        if (
            self._in_company
            and len(self._pieces) > self._gathered
            and self._turns <= GATHER_TURNS_MAX
            and self._loop is not None
        ):
            self._gathered = len(self._pieces)
            self._loop.call_soon(self._gather)
            return
        self._flush()

    def _flush(self) -> None:
        """Write the batch. Also called after a batch was written in the thread."""
        if not self._pieces:
            return
        lost: Waiting = []
        try:
            batch = self._taken()
            lost = batch.waiting
            if self.pace.inline or self._loop is None:
                seconds = self._segments.written(batch.stretch, batch.content)
            else:
                self._in_flight = batch
                written = self._segments.written
                work = self._loop.run_in_executor(self._writer, written, batch.stretch, batch.content)
                work.add_done_callback(partial(self._landed, batch))
                return
        except Exception as error:
            self.poison(error, lost)
        else:
            self._completed(batch, seconds)

    def _landed(self, batch: _Batch, work: Future[float]) -> None:
        """Handle the end of a write in the writer thread."""
        self._in_flight = None
        error = asyncio.CancelledError() if work.cancelled() else work.exception()
        if error is not None:
            self.poison(error, batch.waiting)
        else:
            self._completed(batch, work.result())
            self._flush()

    def _completed(self, batch: _Batch, seconds: float) -> None:
        """Notify the callers of a durable batch. seconds: duration of its write and sync."""
        stretch, places = batch.stretch, self._segments.places
        end = stretch.offset + len(batch.content)
        self.extent = Extent(
            size=batch.size, chain=batch.chain, segment=len(places) - 1, offset=end, total=batch.total
        )
        places[-1].mark(stretch.first_index, stretch.offset)
        batch.head.fixed(origin=self._origin, size=batch.size, chain=batch.chain, at=self._now())
        self.pace.took(seconds)
        for durable, receipt in batch.waiting:
            # A caller that was cancelled meanwhile has completed only its own future.
            if not durable.done():
                durable.set_result(receipt)
        self._wake_room_waiters()
        if self.much_is_unsealed:
            self.seal_due()

    def _refuse(self, code: UnavailableCode, message: str) -> None:
        if self.refusal is None or self.refusal[0] not in (LEDGER_POISONED, LEDGER_UNWRITABLE):
            self.refusal = (code, message)
        self._room_new = self._room_owed = -1
        self._wake_room_waiters()

    def _has_room(self, entry: Entry, length: int) -> bool:
        """Whether the entry fits now; False if waiting may help. Raises Unavailable, `ledger.full` among others."""
        self.require_open()
        self._recount()
        room = self._room_owed if entry.tag in OWED else self._room_new
        if self._queued_bytes + length <= room and len(self._pieces) < self._pieces_max:
            return True
        settings = self._settings
        most_unsealed = settings.unsealed_bytes_max - settings.reserve
        if self._planned - self._sealed + self._queued_bytes + length > most_unsealed:
            self.seal_due()
        most = min(settings.queue_bytes_max, settings.segment_bytes - SEGMENT_HEADER_BYTES, most_unsealed)
        if not self._pieces and (self._segments.disk_is_full or self.disk_is_full or length > most):
            raise LEDGER_FULL(f"no space for an entry of {length} bytes: {max(room, 0)} bytes are left")
        self._segments.want(length)
        return False

    async def room(self, entry: Entry) -> None:
        """Wait until an entry fits, for a limited time. Raises Unavailable (`ledger.full`, `ledger.busy`)."""
        length = FRAME_HEADER_BYTES + len(entry.leaf) + len(entry.attachment)
        loop = asyncio.get_running_loop()
        # Before the first look: from here on, a new spare segment wakes who waits.
        self._loop = loop
        give_up_at = loop.time() + self._settings.append_wait_seconds_max
        while not self._has_room(entry, length):
            left = give_up_at - loop.time()
            if left <= 0:
                message = f"the log was busy for {self._settings.append_wait_seconds_max} seconds: try again"
                raise LEDGER_BUSY(message)
            waiter: Future[None] = loop.create_future()
            self._room_waiters.append(waiter)
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await waiter

    def _lost(self, index: int) -> Unavailable:
        """Return the error for an entry that was accepted and did not become durable."""
        code, message = self.refusal or (LEDGER_POISONED, "the log lost an entry")
        return code(message, effect="none" if index >= self._unwritten_from else "unknown")

    def _recount(self) -> None:
        """Compute how many bytes the gathered batch may have."""
        if self.refusal is None:
            settings, (for_new, for_owed) = self._settings, self._segments.room()
            unsealed = settings.unsealed_bytes_max - (self._planned - self._sealed)
            self._room_new = min(for_new, settings.queue_bytes_max, unsealed - self._reserve)
            self._room_owed = min(for_owed, settings.queue_bytes_max, unsealed)

    def _room_changed(self) -> None:
        self._recount()
        self._wake_room_waiters()

    def _wake_room_waiters(self) -> None:
        waiters, self._room_waiters = self._room_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
