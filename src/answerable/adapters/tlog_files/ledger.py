"""The ledger in files of its own. The port's docstring is the promise; how it is kept stands in the modules beside.

Beyond the port, opening and reading may raise Unavailable (`ledger.locked`, `ledger.unreadable`) and Broken where
stored bytes are not what was written.
"""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.adapters.tlog_files.directory import NO_ROOM
from answerable.adapters.tlog_files.group_commit import GroupCommit, GroupSubmitted
from answerable.adapters.tlog_files.opening import opened, port_errors
from answerable.adapters.tlog_files.reading import stored_frames
from answerable.adapters.tlog_files.sealing import Sealer
from answerable.adapters.tlog_files.settings import TlogFilesSettings
from answerable.core.ledger.codec import SEGMENT_HEADER_BYTES, Head
from answerable.core.ledger.entry import StoredEntry
from answerable.core.tlog.merkle import inclusion_proof, leaf_hash, reader_over
from answerable.core.tlog.proof import TlogProof
from answerable.errors import Broken, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from answerable.adapters.tlog_files.opening import Opening
    from answerable.adapters.tlog_files.recovery import Cut
    from answerable.adapters.tlog_files.sealing import Extent
    from answerable.core.ledger.entry import Entry, Receipt
    from answerable.core.tlog.note import VerifierKey
    from answerable.ports.clock import Clock

_DEFAULTS: Final = TlogFilesSettings()


class _Tagged(msgspec.Struct):
    tag: int


_TAG: Final = msgspec.json.Decoder(_Tagged)


class TlogFilesLedger:
    """Made by `open`, ended by `close`; `async with` closes it. Belongs to the event loop's thread.

    recovered: what was cut at opening, if anything. syncs_inline: whether syncs run in the event loop. Implements
    ports.ledger.Ledger.
    """

    def __init__(
        self,
        directory: Path,
        opening: Opening,
        *,
        key: VerifierKey,
        sign: Callable[[bytes], bytes],
        settings: TlogFilesSettings,
    ) -> None:
        self.recovered: Cut | None = opening.stored.cut
        self.syncs_inline = opening.inline
        self._key, self._settings = key, settings
        self._lock = opening.lock
        self._places = opening.segments.places
        self._commit = GroupCommit(opening, settings)
        self._sealer = Sealer(directory, key=key, sign=sign, stored=opening.stored)

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        key: VerifierKey,
        sign: Callable[[bytes], bytes],
        clock: Clock,
        settings: TlogFilesSettings = _DEFAULTS,
    ) -> TlogFilesLedger:
        """Open the log in `directory`, verified, or make it; its origin is the key's name.

        Blocks while it reads. On return the genesis entry, or the entry that says how a log that was not closed in
        order was reopened, is durable, and signed over if the disk has room. sign: Ed25519 over a text, 64 bytes.
        Raises as `opening.opened`.
        """
        opening = opened(directory, key=key, settings=settings, now=clock.now(), monotonic=clock.monotonic)
        ledger = cls(directory, opening, key=key, sign=sign, settings=settings)
        try:
            if opening.first_entry is not None:
                with port_errors("cannot write to the log"):
                    ledger._commit.append_now(opening.first_entry)
            ledger._seal_if_there_is_room()
            ledger._commit.start()
        except BaseException:
            ledger._release()
            raise
        return ledger

    @property
    def origin(self) -> str:
        """The log's name, as in its checkpoints."""
        return self._key.name

    @property
    def size(self) -> int:
        """Number of durable entries."""
        return self._commit.extent.size

    @property
    def checkpoint(self) -> str:
        """The latest published checkpoint, empty when there is none yet."""
        return (self._sealer.sealed.note or b"").decode()

    async def append(self, entry: Entry) -> Receipt:
        """Make `entry` durable and return its place."""
        return await self._commit.append(entry)

    def submit(self, entry: Entry) -> GroupSubmitted:
        """Give `entry` its place; it is on its way to the disk."""
        return self._commit.submit(entry)

    async def room(self, entry: Entry) -> None:
        """Wait, as `append` does, until `submit` may take `entry`. Raises Unavailable as the port says."""
        await self._commit.room(entry)

    def replay(self, start: int = 0) -> Iterator[StoredEntry]:
        """Durable entries from index `start` on, in order, as they were when the call was made."""
        return self._replayed(start, self._commit.extent)

    def seal(self) -> str:
        """Sign and publish a checkpoint over all durable entries; returns its text (C2SP tlog-checkpoint).

        Blocks while it reads back what was written since the last one; `seal_every` does so in slices.
        """
        self._commit.require_open()
        return self._sealed()

    async def seal_every(self, seconds: float) -> None:
        """Seal at this interval whenever there is news, until cancelled or until the log is closed.

        Hashes a slice per turn of the event loop and writes in a thread. A full disk only delays it. Raises
        Unavailable (`ledger.poisoned`) or Broken (`ledger.corrupt`): the process should end then.
        """
        while True:
            await asyncio.sleep(seconds)
            try:
                self._commit.require_open()
                await self._seal_in_slices()
            except Unavailable as failed:
                if failed.code == "ledger.closed":
                    return
                if failed.code != "ledger.full":
                    raise

    def inclusion_proof(self, index: int) -> str:
        """Proof file (C2SP tlog-proof) for an entry, against the newest checkpoint.

        Reads the whole log in this first form. Raises Malformed (`proof.index_range`) for an entry that no
        checkpoint covers yet.
        """
        sealed = self._sealer.sealed
        leaves = [stored.leaf_hash for stored in self._replayed(0, sealed.extent)]
        hashes = inclusion_proof(index=index, size=len(leaves), hash_at=reader_over(leaves))
        return TlogProof(index=index, hashes=hashes, checkpoint=sealed.note or b"").encoded().decode()

    async def close(self) -> None:
        """Let what was appended become durable, sign over it, and give the log up. Safe to call twice.

        Raises Unavailable or Broken where sealing fails; the log is given up all the same.
        """
        if self._lock < 0:
            return
        await self._commit.finish("ledger.closed", "the log is closed")
        try:
            if self._commit.refusal == ("ledger.closed", "the log is closed"):
                self._seal_if_there_is_room()
                with port_errors("cannot close the log"):
                    self._sealer.write_head(self._head(clean=True))
        finally:
            self._release()

    async def __aenter__(self) -> TlogFilesLedger:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _head(self, *, clean: bool) -> Head:
        extent = self._commit.extent
        return Head(origin=self._key.name, size=extent.size, chain=extent.chain, clean=clean)

    def _sealed(self) -> str:
        to = self._commit.extent
        try:
            if to.size > self._sealer.sealed.extent.size:
                *_, sealed = self._sealer.steps(to, to.size + 1)
                if sealed is not None:
                    self._sealer.publish(sealed, self._head(clean=False))
        except (OSError, Broken) as error:
            raise self._seal_failed(error) from error
        return (self._sealer.sealed.note or b"").decode()

    def _seal_if_there_is_room(self) -> None:
        """Outcomes are owed even when the disk has no room for a checkpoint; that comes later then."""
        try:
            self._sealed()
        except Unavailable as failed:
            if failed.code != "ledger.full":
                raise

    async def _seal_in_slices(self) -> None:
        to = self._commit.extent
        if to.size <= self._sealer.sealed.extent.size:
            return
        try:
            for sealed in self._sealer.steps(to, self._settings.seal_slice_entries):
                if sealed is None:
                    await asyncio.sleep(0)
                else:
                    await asyncio.to_thread(self._sealer.publish, sealed, self._head(clean=False))
        except (OSError, Broken) as error:
            raise self._seal_failed(error) from error

    def _seal_failed(self, error: OSError | Broken) -> Unavailable | Broken:
        """A full disk delays a checkpoint; after any other failure the stored bytes cannot be relied on."""
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return Unavailable("no room for a checkpoint", code="ledger.full", port="ledger")
        self._commit.poison(error, [])
        if isinstance(error, Broken):
            return error
        return Unavailable("a checkpoint could not be written", code="ledger.poisoned", port="ledger")

    def _replayed(self, start: int, extent: Extent) -> Iterator[StoredEntry]:
        marks = self._commit.marks
        position = bisect_right(marks, start, key=lambda mark: mark[0])
        index, number, offset = marks[position - 1] if position else (0, 0, SEGMENT_HEADER_BYTES)
        with port_errors("cannot read the log"):
            while index < extent.size:
                place = self._places[number]
                stop = extent.offset if number == extent.segment else place.end
                for _, frame in stored_frames(place.path, offset, stop):
                    if index >= start:
                        yield StoredEntry(
                            index=index,
                            tag=_TAG.decode(frame.leaf).tag,
                            leaf=frame.leaf,
                            attachment=frame.attachment,
                            leaf_hash=leaf_hash(frame.leaf),
                        )
                    index += 1
                number, offset = number + 1, SEGMENT_HEADER_BYTES

    def _release(self) -> None:
        self._commit.release()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
