"""Implement the ledger port on files. The port's docstring defines the promises; the neighbouring modules implement
them.

In addition to the port's errors, opening and reading may raise Unavailable (`ledger.locked`, `ledger.unreadable`), and
Broken if stored bytes are not what was written.
"""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from answerable.adapters.tlog_files.directory import NO_ROOM
from answerable.adapters.tlog_files.group_commit import GroupCommit, GroupSubmitted
from answerable.adapters.tlog_files.history import Signed
from answerable.adapters.tlog_files.opening import opened, port_errors
from answerable.adapters.tlog_files.proving import CheckedLeaves, proof_of_consistency, proof_of_inclusion
from answerable.adapters.tlog_files.publishing import Publisher
from answerable.adapters.tlog_files.replaying import Replay
from answerable.adapters.tlog_files.sealing import LogSigner, Sealed, Sealing, SecondKey
from answerable.adapters.tlog_files.settings import TlogFilesSettings
from answerable.core.ledger.head import Head, SealedAt, head_of
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.errors import Broken, Unavailable
from answerable.errors.codes.ledger import LEDGER_CLOSED, LEDGER_FULL, LEDGER_POISONED
from answerable.errors.codes.tlog import PROOF_INDEX_RANGE
from answerable.ports.ledger import TAKES_NOTHING_NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

    from answerable.adapters.tlog_files.opening import Opening
    from answerable.adapters.tlog_files.recovery import Cut
    from answerable.core.ledger.entry import Entry, Receipt, StoredEntry
    from answerable.core.tlog.note import VerifierKey
    from answerable.ports.clock import Clock

_DEFAULTS: Final = TlogFilesSettings()
_BLOCKING_SLICE_ENTRIES: Final = 4096
SEALED_AT_OPENING_BYTES_MAX: Final = 4 * 1_048_576
"""Unsealed bytes beyond this are sealed after opening, in slices between turns of the event loop."""


class TlogFilesLedger:
    """An open log. Created by `open`, ended by `close`; `async with` closes it. Used in the event loop's thread only.

    recovered: what was cut at opening, if anything. submit: assigns an entry its index and starts to write it.

    Implements ports.ledger.Ledger.
    """

    def __init__(
        self, directory: Path, opening: Opening, *, signer: LogSigner, settings: TlogFilesSettings
    ) -> None:
        self.recovered: Cut | None = opening.stored.cut
        self._directory, self._signer, self._settings = directory, signer, settings
        self._lock = opening.lock
        self._tiles = opening.tiles
        self._opened = opening.stored.open
        self._places = opening.segments.places
        self._commit = GroupCommit(opening, signer, settings)
        # Every action submits twice: no call in between.
        self.submit: Callable[[Entry], GroupSubmitted] = self._commit.submit
        self._publisher = Publisher(directory, opening.tiles, signer.keys, opening.stored)
        self._replay = Replay(self._places)
        self._leaves = CheckedLeaves(opening.tiles)
        self._sealing: asyncio.Task[None] | None = None
        self._seal_again_at = 0.0

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        key: VerifierKey,
        sign: Callable[[bytes], bytes],
        clock: Clock,
        settings: TlogFilesSettings = _DEFAULTS,
        second: SecondKey | None = None,
    ) -> TlogFilesLedger:
        """Open the log in `directory`, verified, or create it; its origin is the key's name.

        Blocks while it reads. On return, the genesis entry, or the recovery entry of a log that was not closed
        properly, is durable; and everything is sealed, if the disk has room and there was little to seal. sign: Ed25519
        over a text, 64 bytes. second: signs checkpoints, too. Raises as `opening.opened`.
        """
        signer = LogSigner(key=key, sign=sign, clock=clock, second=second)
        opening = opened(directory, signer=signer, settings=settings)
        ledger = cls(directory, opening, signer=signer, settings=settings)
        try:
            if opening.first_entry is not None:
                with port_errors("cannot write to the log"):
                    ledger._commit.append_now(opening.first_entry)
            stored = opening.stored
            if not stored.tiled or stored.extent.total <= SEALED_AT_OPENING_BYTES_MAX:
                ledger._seal_if_there_is_room()
            ledger._commit.seal_due = ledger._seal_due
            ledger._commit.start()
        except BaseException:
            ledger._release()
            raise
        return ledger

    @property
    def origin(self) -> str:
        """The log's name, as in its checkpoints."""
        return self._signer.key.name

    @property
    def size(self) -> int:
        """Number of durable entries."""
        return self._commit.extent.size

    @property
    def syncs_inline(self) -> bool:
        """Whether syncs run in the event loop at present."""
        return self._commit.pace.inline

    @property
    def checkpoint(self) -> str:
        """The latest published checkpoint, empty if there is none yet."""
        return (self._publisher.sealed.note or b"").decode()

    @property
    def cosigned(self) -> str:
        """The latest checkpoint that was published with cosignatures, empty if there is none yet."""
        newest = self._publisher.cosigned
        return "" if newest is None else newest.note.decode()

    def append(self, entry: Entry) -> Coroutine[Any, Any, Receipt]:
        """Make `entry` durable and return its receipt."""
        return self._commit.append(entry)

    async def room(self, entry: Entry) -> None:
        """Wait, as `append` does, until `submit` can accept `entry`. Raises Unavailable as in the port."""
        await self._commit.room(entry)

    def replay(self, start: int = 0) -> Iterator[StoredEntry]:
        """Yield the durable entries from index `start` on, in order, as of the call."""
        return self._replay.entries(start, self._commit.extent)

    def entry(self, index: int) -> StoredEntry:
        """Return one durable entry without reading those before it, checked against the tree if the tree covers it.

        Raises Malformed (`ledger.no_entry`).
        """
        (found,) = self._checked((self._replay.entry(index, self._commit.extent),))
        return found

    def open_intents(self) -> tuple[StoredEntry, ...]:
        """Return the intents that had no end when the log was opened, in order."""
        with port_errors("cannot read the log"):
            return self._checked(self._replay.at(place) for place in self._opened)

    def seal(self) -> str:
        """Sign and publish a checkpoint over all durable entries; return its text (C2SP tlog-checkpoint).

        Blocks while it reads what was written since the last one; `seal_every` does so in slices.
        """
        self._commit.require_open()
        return self._sealed()

    async def seal_every(self, seconds: float) -> None:
        """Seal at this interval if there are new entries, until cancelled or until the log is closed.

        Hashes one slice per turn of the event loop and writes in a thread. A full disk only delays sealing, and a disk
        that accepts no writes yields nothing new to seal. Raises Unavailable (`ledger.poisoned`) or Broken
        (`ledger.corrupt`): the process should end then.
        """
        while True:
            await asyncio.sleep(seconds)
            try:
                # The task is not cancelled with its waiting caller: its thread could still write after the log is
                # released.
                await asyncio.shield(self._seal_in_background())
                self._commit.require_open()
            except Unavailable as failed:
                if failed.code == "ledger.closed":
                    return
                if failed.code not in TAKES_NOTHING_NOW:
                    raise

    async def seal_now(self) -> None:
        """Seal like `seal`, but in slices and in a thread like `seal_every`, for callers that must not block. Raises as
        those.

        Entries appended after a checkpoint was begun are in the next one.
        """
        self._commit.require_open()
        await asyncio.shield(self._seal_in_background())

    def inclusion_proof(self, index: int) -> str:
        """Return a proof file (C2SP tlog-proof) for an entry, against the newest cosigned checkpoint that covers it, or
        else the newest checkpoint.

        Raises Malformed (`proof.index_range`) for an entry that no checkpoint covers yet.
        """
        under = self._publisher.cosigned
        if under is None or index >= under.checkpoint.size:
            under = self._newest()
        with port_errors("cannot read the tree"):
            return proof_of_inclusion(self._tiles, index, under=under).encoded().decode()

    def consistency_proof(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """Return a proof that the tree of the first size is a prefix of that of the second, which a checkpoint must
        cover.

        Raises Malformed (`proof.size_range`) for sizes that no checkpoint covers yet, or in the wrong order.
        """
        sealed = self._publisher.sealed
        with port_errors("cannot read the tree"):
            return proof_of_consistency(
                self._tiles, old_size=old_size, new_size=new_size, size=sealed.extent.size, root=sealed.root
            )

    def publish_cosigned(self, note: bytes) -> None:
        """Publish one of the log's checkpoints with its cosignatures as the newest cosigned one, durably.

        A checkpoint older than the published one changes nothing. The cosignatures are not checked. Raises Malformed,
        Unverified (`ledger.cosigned_other`) for a checkpoint that is not this log's, Unavailable.
        """
        self._commit.require_open()
        with port_errors("cannot publish a cosigned checkpoint", log=self._directory):
            self._publisher.publish_cosigned(note)

    async def close(self) -> None:
        """Wait until appended entries are durable, seal, and release the log. Idempotent.

        Raises Unavailable or Broken if sealing fails; the log is released all the same.
        """
        if self._lock < 0:
            return
        await self._commit.finish(LEDGER_CLOSED, "the log is closed")
        if self._sealing is not None:
            await asyncio.wait((self._sealing,))
        try:
            if self._commit.refusal == (LEDGER_CLOSED, "the log is closed"):
                self._seal_if_there_is_room()
                with port_errors("cannot close the log"):
                    self._write_last_head()
        finally:
            self._release()

    def _write_last_head(self) -> None:
        try:
            self._publisher.write_head(self._head(self._publisher.sealed, clean=True))
        except OSError as error:
            # As after a crash: the next opening reads more, and nothing is lost. The original error is the one to
            # report.
            if error.errno not in NO_ROOM and error.errno != errno.EROFS:
                raise

    async def __aenter__(self) -> TlogFilesLedger:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _checked(self, entries: Iterable[StoredEntry]) -> tuple[StoredEntry, ...]:
        sealed = self._publisher.sealed
        with port_errors("cannot read the tree"):
            if not self._publisher.tiled:
                # The tiles do not exist yet: no head was trusted, and the whole log has been read.
                return tuple(entries)
            return self._leaves.checked(entries, size=sealed.extent.size, root=sealed.root)

    def _newest(self) -> Signed:
        sealed = self._publisher.sealed
        if sealed.note is None:
            raise PROOF_INDEX_RANGE("no checkpoint covers any entry yet")
        checkpoint = Checkpoint(origin=self.origin, size=sealed.extent.size, root=sealed.root)
        return Signed(checkpoint=checkpoint, note=sealed.note)

    def _head(self, sealed: Sealed, *, clean: bool) -> Head:
        extent, at = self._commit.extent, sealed.extent
        return head_of(
            origin=self.origin,
            size=extent.size,
            chain=extent.chain,
            clean=clean,
            sealed=SealedAt(
                size=at.size,
                chain=at.chain,
                segment=self._places[at.segment].first_index,
                offset=at.offset,
            )
            if at.size
            else None,
            opened=sealed.open,
        )

    def _walk(self) -> Sealing | None:
        """Return the next sealing; None if there is nothing new."""
        publisher = self._publisher
        if self._commit.extent.size == publisher.sealed.extent.size and publisher.tiled:
            return None
        return Sealing(
            self._signer, self._places, self._tiles, sealed=publisher.sealed, tiled=publisher.tiled
        )

    def _sealed(self) -> str:
        try:
            walk = self._walk()
            if walk is not None:
                for step in walk.steps(self._commit.extent, _BLOCKING_SLICE_ENTRIES):
                    if isinstance(step, Sealed):
                        self._publish(step)
                    elif step is not None:
                        self._tiles.write(step)
        except (OSError, Broken) as error:
            raise self._seal_failed(error) from error
        return self.checkpoint

    def _seal_if_there_is_room(self) -> None:
        """Seal unless the disk is full. Outcomes must be accepted even without room for a checkpoint, which is then
        written later."""
        try:
            self._sealed()
        except Unavailable as failed:
            if failed.code != "ledger.full":
                raise

    def _seal_due(self) -> None:
        """Start sealing at once, unless the disk has just been found full."""
        if asyncio.get_running_loop().time() >= self._seal_again_at:
            self._seal_in_background()

    def _seal_in_background(self) -> asyncio.Task[None]:
        """Return the only sealing task, started if there is none."""
        if self._sealing is None or self._sealing.done():
            self._sealing = asyncio.get_running_loop().create_task(self._seal_in_slices())
            self._sealing.add_done_callback(_looked_at)
        return self._sealing

    async def _seal_in_slices(self) -> None:
        self._commit.require_open()
        loop, retry_seconds = asyncio.get_running_loop(), self._settings.allocation_retry_seconds
        self._seal_again_at = loop.time() + retry_seconds
        try:
            walk = self._walk()
            if walk is None:
                return
            to = self._commit.extent
            for step in walk.steps(to, self._settings.seal_slice_entries):
                if self._publisher.sealed.extent.size > to.size:
                    # `seal` was faster: it has published more than this walk would.
                    break
                if step is None:
                    await asyncio.sleep(0)
                elif isinstance(step, Sealed):
                    await asyncio.to_thread(self._publisher.publish, step, self._head(step, clean=False))
                    self._commit.sealed(step.extent)
                else:
                    await asyncio.to_thread(self._tiles.write, step)
        except (OSError, Broken) as error:
            raise self._seal_failed(error) from error
        self._seal_again_at = 0.0

    def _publish(self, sealed: Sealed) -> None:
        self._publisher.publish(sealed, self._head(sealed, clean=False))
        self._commit.sealed(sealed.extent)

    def _seal_failed(self, error: OSError | Broken) -> Unavailable | Broken:
        """Translate a sealing failure. A full disk delays a checkpoint; after any other failure the stored bytes are
        untrusted."""
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            self._commit.seal_found_no_room()
            return LEDGER_FULL("no space for a checkpoint")
        self._commit.poison(error, [])
        if isinstance(error, Broken):
            return error
        code, _ = self._commit.refusal or (LEDGER_POISONED, "")
        return code(f"a checkpoint could not be made: {(error.strerror or 'unknown error').lower()}")

    def _release(self) -> None:
        self._commit.release()
        if self._lock >= 0:
            lock, self._lock = self._lock, -1
            # The descriptor is closed even if close reports an error.
            with suppress(OSError):
                os.close(lock)


def _looked_at(task: asyncio.Task[None]) -> None:
    """Retrieve the task's exception, so that asyncio does not report it: waiting callers get it, and the log is
    poisoned."""
    if not task.cancelled():
        task.exception()
