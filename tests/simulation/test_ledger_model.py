"""A ledger in files does what a list would do, whatever is done to it in whatever order.

The model is a list of leaves. What the ledger may do beyond it: refuse, saying that nothing was done; and, once a write
has failed, keep any first part of the batch whose effect it called unknown.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from answerable.adapters.tlog_files import TlogFilesLedger, directory
from answerable.core.ledger.entry import Entry, Receipt
from answerable.core.ledger.open_intents import tag_of
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.checkpoint import verified_checkpoint
from answerable.core.tlog.merkle import leaf_hash, root_of, verify_consistency
from answerable.core.tlog.proof import TlogProof
from answerable.errors import Unavailable
from answerable.testing.contracts.ledger import owed_entry, refusal_entry
from answerable.verify.ledger_history import verify_ledger
from tests.probes.crash_cases import MEMORY
from tests.worlds.ledger_script import KEY, cosigned_note, opened

T = TypeVar("T")
PLACES = st.integers(0, 10_000)
"""Taken modulo what there is, so that what is drawn does not depend on it."""
STEPS = 30
NOTICED_SECONDS_MAX = 10
FAULTS = ("no byte", "some bytes", "the sync", "no room")


class FailingDisk:
    """Stands between the ledger and `os`. next: fault of the next write of a batch. full: no segment can be made."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.next, self.kept, self.full = "", 0, False
        self._pwrite, self._fdatasync, self._zero_filled = os.pwrite, os.fdatasync, directory.zero_filled
        patch.setattr(os, "pwrite", self._write)
        patch.setattr(os, "fdatasync", self._sync)
        patch.setattr(directory, "zero_filled", self._make)

    def _write(self, fd: int, content: bytes, offset: int) -> int:
        # Batches are written in the loop's thread; the one that makes segments has a fault of its own.
        if threading.current_thread() is not threading.main_thread():
            return self._pwrite(fd, content, offset)
        if self.next in ("no byte", "no room"):
            raise OSError(errno.ENOSPC if self._taken() == "no room" else errno.EIO, "injected")
        if self.next == "some bytes":
            self._taken()
            self._pwrite(fd, memoryview(content)[: self.kept % max(1, len(content))], offset)
            raise OSError(errno.EIO, "injected")
        return self._pwrite(fd, content, offset)

    def _sync(self, fd: int) -> None:
        if self.next == "the sync" and threading.current_thread() is threading.main_thread():
            self._taken()
            raise OSError(errno.EIO, "injected")
        self._fdatasync(fd)

    def _make(self, path: Path, size: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "injected")
        self._zero_filled(path, size)

    def _taken(self) -> str:
        fault, self.next = self.next, ""
        return fault


class LedgerMachine(RuleBasedStateMachine):
    """leaves: the model. unknown: of a batch that failed; what came first of it may be there. untouched: entries that a
    log had which was opened in order, -1 for one that was not."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.life = 0
        self.loop = asyncio.new_event_loop()
        self.patch = pytest.MonkeyPatch()
        self.disk = FailingDisk(self.patch)
        self.leaves: list[bytes] = []
        self.unknown: list[bytes] = []
        self.is_poisoned = False
        self.untouched = -1
        self.sealed: list[int] = []
        self.number = 0
        self.ledger: TlogFilesLedger

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @property
    def log(self) -> Path:
        return self.place / str(self.life)

    def entry(self, size: int, *, owed: bool = False) -> Entry:
        self.number += 1
        return owed_entry(self.number) if owed else refusal_entry(self.number, b'"' + b"x" * size + b'"')

    # --- opening --------------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.open(added=Tag.GENESIS)

    def open(self, *, added: Tag | None) -> None:
        """Open what is there: all of the model, a first part of what was unknown, and one entry about the opening."""

        async def run() -> TlogFilesLedger:
            return opened(self.log)

        self.ledger = self.run(run())
        found = [stored.leaf for stored in self.ledger.replay()]
        known = len(self.leaves)
        assert found[:known] == self.leaves
        said = tag_of(found[-1])
        self.leaves = list(found)
        is_told = added is not None and (said == added or self.untouched != len(found))
        if is_told:
            # Where nothing came after an opening in order, there is nothing to tell.
            assert said == added
            found.pop()
        assert found[known:] == self.unknown[: max(0, len(found) - known)]
        self.untouched = -1 if is_told else len(self.leaves)
        self.unknown, self.is_poisoned = [], False

    @precondition(lambda self: not self.is_poisoned)
    @rule()
    def close_and_reopen(self) -> None:
        self.disk.next = ""
        self.run(self.ledger.close())
        # While no segment can be made, a log that has used up its own cannot open; that is told in another test.
        self.disk.full = False
        self.open(added=None)

    @rule()
    def crash_and_reopen(self) -> None:
        """The process is gone between two calls: a copy of the files is what the next one finds."""
        self.disk.next, self.disk.full = "", False
        before = self.log
        self.life += 1
        shutil.copytree(before, self.log, ignore=shutil.ignore_patterns("lock"))
        self.run(self.ledger.close())
        shutil.rmtree(before)
        self.open(added=Tag.RECOVERY)

    # --- writing --------------------------------------------------------------------------------------

    @rule(sizes=st.lists(st.integers(0, 900), min_size=1, max_size=8), owed=st.booleans())
    def append(self, sizes: list[int], owed: bool) -> None:
        """Several at once; each is there or refused with nothing done, unless a write failed."""
        entries = [self.entry(size, owed=owed) for size in sizes]

        async def run() -> list[Receipt | BaseException]:
            return await asyncio.gather(*map(self.ledger.append, entries), return_exceptions=True)

        self.took(entries, self.run(run()))

    @rule(sizes=st.lists(st.integers(0, 300), min_size=2, max_size=6), leaving=st.sets(st.integers(0, 5)))
    def submit_and_leave(self, sizes: list[int], leaving: set[int]) -> None:
        """Places are given at once; who stops waiting changes nothing."""
        entries = [self.entry(size) for size in sizes]

        async def run() -> list[Receipt | BaseException]:
            results: list[Receipt | BaseException] = []
            submitted = []
            for entry in entries:
                try:
                    submitted.append(self.ledger.submit(entry))
                except Unavailable as refused:
                    results.append(refused)
            tasks = [asyncio.ensure_future(one.durable()) for one in submitted]
            await asyncio.sleep(0)
            for number in leaving & set(range(len(tasks))):
                tasks[number].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            again = await asyncio.gather(*(one.durable() for one in submitted), return_exceptions=True)
            return [*again, *results]

        self.took(entries, self.run(run()))

    def took(self, entries: list[Entry], results: list[Receipt | BaseException]) -> None:
        """Hold the answers against the model."""
        by_hash = {leaf_hash(entry.leaf): entry.leaf for entry in entries}
        receipts = [one for one in results if isinstance(one, Receipt)]
        for receipt in sorted(receipts, key=lambda one: one.index):
            assert receipt.index == len(self.leaves)
            self.leaves.append(by_hash[receipt.leaf_hash])
            assert receipt.head is not None
            assert receipt.head.fields.size > receipt.index
        refused = [one for one in results if not isinstance(one, Receipt)]
        for one in refused:
            assert isinstance(one, Unavailable), one
            assert one.code in ("ledger.full", "ledger.busy", "ledger.poisoned")
            if one.code != "ledger.poisoned":
                assert one.effect == "none"
                assert self.disk.full or one.code == "ledger.busy"
        poisoned = [one for one in refused if isinstance(one, Unavailable) and one.code == "ledger.poisoned"]
        if poisoned and not self.is_poisoned:
            self.is_poisoned = True
            taken = {leaf_hash(leaf) for leaf in self.leaves}
            left = [entry.leaf for entry in entries if leaf_hash(entry.leaf) not in taken]
            self.unknown = left if any(one.effect == "unknown" for one in poisoned) else []
        elif poisoned:
            assert all(one.effect == "none" for one in poisoned)

    @rule(fault=st.sampled_from(FAULTS), kept=st.integers(0, 5_000), count=st.integers(1, 5))
    def fail_a_write(self, fault: str, kept: int, count: int) -> None:
        """The next write or sync of a batch fails: nobody knows what is there, and nothing more is taken."""
        if self.is_poisoned:
            return
        self.disk.next, self.disk.kept = fault, kept
        self.append([200] * count, False)
        self.disk.next = ""

    @rule(full=st.booleans())
    def fill_or_free_the_disk(self, full: bool) -> None:
        """Room that comes back is noticed without anybody's help."""
        was, self.disk.full = self.disk.full, full
        if was and not full and not self.is_poisoned:
            entry, until = self.entry(500), time.monotonic() + NOTICED_SECONDS_MAX

            async def run() -> Receipt:
                while True:
                    try:
                        return await self.ledger.append(entry)
                    except Unavailable as refused:
                        if refused.code not in ("ledger.full", "ledger.busy") or time.monotonic() > until:
                            raise
                        await asyncio.sleep(0.005)

            self.took([entry], [self.run(run())])

    def settle(self) -> None:
        """Wait for the thread that makes segments, so that what is refused does not depend on its pace: where the disk
        has room, until that thread has found it."""
        segments, until = self.ledger._commit._segments, time.monotonic() + NOTICED_SECONDS_MAX
        while not segments._spare_capacity and not self.is_poisoned:
            if self.disk.full and segments.disk_is_full:
                return
            assert time.monotonic() < until, "the disk has room, and no segment is made"
            time.sleep(0.0005)

    # --- sealing and proving --------------------------------------------------------------------------

    @precondition(lambda self: not self.is_poisoned)
    @rule(cosigned=st.booleans())
    def seal(self, cosigned: bool) -> None:
        note = self.ledger.seal().encode()
        checkpoint = verified_checkpoint(note, origin=self.ledger.origin, log_keys=(KEY,))
        assert checkpoint.size == len(self.leaves)
        assert checkpoint.root == root_of([leaf_hash(leaf) for leaf in self.leaves])
        self.sealed.append(checkpoint.size)
        if cosigned:
            self.ledger.publish_cosigned(cosigned_note(note))
            assert self.ledger.cosigned.startswith(note.decode())

    @precondition(lambda self: self.sealed and not self.is_poisoned)
    @rule(number=PLACES, one=PLACES, other=PLACES)
    def prove(self, number: int, one: int, other: int) -> None:
        index = number % self.sealed[-1]
        proof = TlogProof.parse(self.ledger.inclusion_proof(index).encode())
        leaf = leaf_hash(self.leaves[index])
        assert proof.verify(leaf=leaf, origin=self.ledger.origin, log_keys=(KEY,)).size > index
        small, large = sorted(self.sealed[at % len(self.sealed)] for at in (one, other))
        verify_consistency(
            old_size=small,
            new_size=large,
            old_root=root_of([leaf_hash(leaf) for leaf in self.leaves[:small]]),
            new_root=root_of([leaf_hash(leaf) for leaf in self.leaves[:large]]),
            proof=self.ledger.consistency_proof(small, large),
        )

    # --- reading --------------------------------------------------------------------------------------

    @rule(number=PLACES)
    def read(self, number: int) -> None:
        start = number % (len(self.leaves) + 1)
        assert [stored.leaf for stored in self.ledger.replay(start)] == self.leaves[start:]
        if start < len(self.leaves):
            assert self.ledger.entry(start).leaf == self.leaves[start]

    @invariant()
    def size_is_that_of_the_model(self) -> None:
        if hasattr(self, "ledger"):
            self.settle()
            assert self.ledger.size == len(self.leaves)

    def teardown(self) -> None:
        try:
            if hasattr(self, "ledger"):
                self.disk.next, self.disk.full = "", False
                self.run(self.ledger.close())
                report = verify_ledger(self.log, key=KEY)
                assert report.errors == 0, report.as_lines()
                assert report.size >= len(self.leaves)
        finally:
            self.patch.undo()
            self.run(self.loop.shutdown_default_executor())
            self.loop.close()
            shutil.rmtree(self.place)


@pytest.mark.requirement("PROVE-05")
def test_a_ledger_answers_like_a_list_whatever_is_done() -> None:
    run_state_machine_as_test(LedgerMachine, settings=settings(stateful_step_count=STEPS))
