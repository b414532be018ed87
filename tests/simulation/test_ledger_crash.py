"""Power cuts, made from recorded writes: any sectors of the last sync may be missing, or all from any byte on.

A real log is written once, with tiles, checkpoints and cosigned ones; its writes and syncs are recorded, and so is
everything on disk between two system calls of a seal. Each case builds the disk as a cut may have left it, opens it
with the real adapter, and looks for every entry that had been acknowledged by then.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from answerable.adapters.tlog_files import TlogFilesLedger, TlogFilesSettings
from answerable.adapters.tlog_files.segments import Segments, Stretch
from answerable.core.canonical import parse
from answerable.core.ledger.codec import SECTOR_BYTES, SEGMENT_HEADER_BYTES, decode_frame
from answerable.core.ledger.head import Head, SealedAt
from answerable.core.ledger.tags import Tag
from answerable.errors import Broken
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import log_key, owed_entry, refusal_entry
from answerable.verify.ledger_history import verify_ledger

pytestmark = pytest.mark.requirement("LEDGER-07")

SETTINGS = TlogFilesSettings(segment_bytes=16_384, commit="inline")
BATCHES = 72


class Sync:
    """One recorded batch. before: what the log's directory held when it was written."""

    def __init__(
        self, *, segment: str, offset: int, content: bytes, size_after: int, before: dict[str, bytes]
    ) -> None:
        self.segment, self.offset, self.content = segment, offset, content
        self.size_after, self.before = size_after, before

    @property
    def sealed(self) -> SealedAt:
        """Where the log was sealed then."""
        sealed = Head.parse(self.before["head"]).sealed
        assert sealed is not None
        return sealed

    def is_sealed(self, name: str, at: int) -> bool:
        """Whether a byte of a segment is below the sealed place."""
        segment = int(Path(name).stem, 16)
        return (segment, at) < (self.sealed.segment, self.sealed.offset)


class Recording:
    """A log's syncs, what was on disk at each step of its seals with the entries acknowledged by then, and its leaves.

    Too long to be shown.
    """

    def __init__(self) -> None:
        self.syncs: list[Sync] = []
        self.steps: list[tuple[int, dict[str, bytes]]] = []
        self.leaves: list[bytes] = []


_KEPT: dict[bytes, bytes] = {}
"""One copy of each content: the images of a recording have most of their files in common."""


def contents(directory: Path) -> dict[str, bytes]:
    found = {}
    for path in directory.rglob("*"):
        if path.is_file() and path.name not in ("spare", "lock"):
            content = path.read_bytes()
            found[str(path.relative_to(directory))] = _KEPT.setdefault(content, content)
    return found


def segment_at(name: str) -> int:
    """First entry of a segment; beyond all others for a file that is none."""
    return int(Path(name).stem, 16) if name.startswith("wal/") else 2**64


def frames_in(content: bytes) -> int:
    count, offset = 0, 0
    while frame := decode_frame(content, offset):
        count, offset = count + 1, frame.end
    return count


def opened(directory: Path) -> TlogFilesLedger:
    key, sign = log_key()
    return TlogFilesLedger.open(directory, key=key, sign=sign, clock=ManualClock(), settings=SETTINGS)


STEPS = ("fsync", "rename", "replace", "mkdir", "unlink", "rmdir", "ftruncate", "pwrite")


@contextmanager
def watched(directory: Path, size: int, made: Recording) -> Iterator[None]:
    """Note what is on disk before and after each of these system calls."""

    def noting(call: Callable[..., object]) -> Callable[..., object]:
        def noted(*arguments: object, **named: object) -> object:
            made.steps.append((size, contents(directory)))
            return call(*arguments, **named)

        return noted

    with pytest.MonkeyPatch.context() as patch:
        for name in STEPS:
            patch.setattr(os, name, noting(getattr(os, name)))
        yield
    made.steps.append((size, contents(directory)))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Batches of one to eight entries over several segments, sealed now and then, and every second seal cosigned."""
    directory, made, chance = tmp_path_factory.mktemp("recorded") / "log", Recording(), random.Random(7)
    written = Segments.written

    async def run() -> None:
        ledger = opened(directory)

        def recorded(segments: Segments, stretch: Stretch, content: bytes) -> float:
            before = contents(directory)
            seconds = written(segments, stretch, content)
            place = segments.places[-1]
            if stretch.renewed:
                # The new segment's header and name are durable before a byte of the batch is written.
                name = f"wal/{place.path.name}"
                before[name] = contents(directory)[name][:SEGMENT_HEADER_BYTES] + bytes(
                    SETTINGS.segment_bytes - SEGMENT_HEADER_BYTES
                )
            name = f"wal/{place.path.name}"
            made.syncs.append(
                Sync(
                    segment=name,
                    offset=stretch.offset,
                    content=content,
                    size_after=stretch.first_index + frames_in(content),
                    before=before,
                )
            )
            return seconds

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Segments, "written", recorded)
            for number in range(BATCHES):
                await asyncio.sleep(0.005)
                many = range(chance.randint(1, 8))
                entries = (refusal_entry(one, b"1" * chance.randint(1, 1500)) for one in many)
                await asyncio.gather(*(ledger.append(one) for one in [owed_entry(number), *entries]))
                if number % 4 == 3:
                    with watched(directory, ledger.size, made):
                        note = ledger.seal().encode()
                        if number % 8 == 7:
                            ledger.publish_cosigned(note)
        made.leaves = [stored.leaf for stored in ledger.replay()]
        await ledger.close()

    asyncio.run(run())
    assert len({sync.segment for sync in made.syncs}) > 2
    assert len(made.steps) > 100
    assert {"cosigned", "cosigned.log", "head", "checkpoint"} <= made.steps[-1][1].keys()
    return made


@contextmanager
def disk(files: dict[str, bytes]) -> Iterator[Path]:
    """A directory with these files, in memory where the machine has such a place: nothing here needs a real disk."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as scratch:
        directory = Path(scratch) / "log"
        for name, content in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield directory


def with_pieces(sync: Sync, kept: Iterator[bool]) -> dict[str, bytes]:
    """The disk with those sectors of the batch that were written before the power went."""
    image = bytearray(sync.before[sync.segment])
    end = sync.offset + len(sync.content)
    start = sync.offset
    while start < end:
        stop = min((start // SECTOR_BYTES + 1) * SECTOR_BYTES, end)
        if next(kept):
            image[start:stop] = sync.content[start - sync.offset : stop - sync.offset]
        start = stop
    return {**sync.before, sync.segment: bytes(image)}


def with_start(sync: Sync, count: int) -> dict[str, bytes]:
    """The disk with the first bytes of the batch only."""
    image = bytearray(sync.before[sync.segment])
    image[sync.offset : sync.offset + count] = sync.content[:count]
    return {**sync.before, sync.segment: bytes(image)}


def assert_opens(recording: Recording, files: dict[str, bytes], *, least: int, most: int) -> None:
    """Everything acknowledged is there, the rest is a prefix of what was being written, and the log goes on."""
    with disk(files) as directory:
        report = verify_ledger(directory, key=log_key()[0])
        assert report.errors == 0, report.as_lines()

        async def run() -> None:
            async with opened(directory) as ledger:
                stored = list(ledger.replay())
                recovery = parse(stored[-1].leaf)
                assert stored[-1].tag == Tag.RECOVERY
                assert isinstance(recovery, dict)
                kept = len(stored) - 1
                assert [one.leaf for one in stored[:-1]] == recording.leaves[:kept]
                assert least <= kept <= most
                assert recovery["size"] == kept
                assert (recovery["cut_bytes"] != 0) == (ledger.recovered is not None)
                await ledger.append(refusal_entry(1))

        asyncio.run(run())
        after = verify_ledger(directory, key=log_key()[0])
        assert (after.errors, after.warnings) == (0, 0), after.as_lines()


def assert_survives(recording: Recording, number: int, files: dict[str, bytes]) -> None:
    """As after a cut in this sync."""
    durable = recording.syncs[number - 1].size_after if number else 1
    assert_opens(recording, files, least=durable, most=recording.syncs[number].size_after)


def assert_noticed(files: dict[str, bytes]) -> None:
    """What is sealed is not read at opening: whoever reads it is told, and so is the auditor."""
    with disk(files) as directory:
        assert verify_ledger(directory, key=log_key()[0]).errors > 0

        async def run() -> None:
            async with opened(directory) as ledger:
                list(ledger.replay())

        with pytest.raises(Broken):
            asyncio.run(run())


@given(data=st.data())
def test_any_sectors_of_the_last_sync_may_be_lost(recording: Recording, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(recording.syncs) - 1))
    sync = recording.syncs[number]
    count = len(sync.content) // SECTOR_BYTES + 2
    kept = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    assert_survives(recording, number, with_pieces(sync, iter(kept)))


@given(data=st.data())
def test_the_last_write_may_end_at_any_byte(recording: Recording, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(recording.syncs) - 1))
    sync = recording.syncs[number]
    assert_survives(recording, number, with_start(sync, data.draw(st.integers(0, len(sync.content)))))


@given(data=st.data())
def test_the_process_may_end_between_any_two_calls_of_a_seal(
    recording: Recording, data: st.DataObject
) -> None:
    size, files = data.draw(st.sampled_from(recording.steps))
    assert_opens(recording, files, least=size, most=size)


@given(data=st.data())
def test_a_changed_byte_of_what_is_not_sealed_keeps_the_log_shut(
    recording: Recording, data: st.DataObject
) -> None:
    sync = data.draw(st.sampled_from(recording.syncs))
    whole = with_start(sync, len(sync.content))
    last = int(Path(sync.segment).stem, 16)
    names = [one for one in whole if sync.sealed.segment <= segment_at(one) <= last]
    name = data.draw(st.sampled_from(sorted(names)))
    start = sync.sealed.offset if segment_at(name) == sync.sealed.segment else 0
    image = bytearray(whole[name])
    end = len(image.rstrip(b"\x00"))
    # The very last byte is left out: zero there looks like a write that ended one byte early.
    at = data.draw(st.integers(start, max(start, end - 2)))
    if at >= end:
        return
    image[at] ^= data.draw(st.integers(1, 255))
    with disk({**whole, name: bytes(image)}) as directory:
        with pytest.raises(Broken) as refused:
            opened(directory)
        assert refused.value.code == "ledger.corrupt"
        assert f"{name}` at byte " in refused.value.message
        assert "entry " in refused.value.message
        assert verify_ledger(directory, key=log_key()[0]).errors > 0


@given(data=st.data())
def test_a_changed_byte_of_what_is_sealed_is_noticed_by_whoever_reads_it(
    recording: Recording, data: st.DataObject
) -> None:
    sync = data.draw(st.sampled_from(recording.syncs))
    whole = with_start(sync, len(sync.content))
    name = data.draw(st.sampled_from(sorted(one for one in whole if segment_at(one) <= sync.sealed.segment)))
    image = bytearray(whole[name])
    end = sync.sealed.offset if segment_at(name) == sync.sealed.segment else len(image.rstrip(b"\x00"))
    # The header of an older segment is for auditors: no reader goes by it.
    at = data.draw(st.integers(SEGMENT_HEADER_BYTES, end - 1))
    image[at] ^= data.draw(st.integers(1, 255))
    assert_noticed({**whole, name: bytes(image)})


def begins_after(sync: Sync, segment: str, offset: int) -> bool:
    """Whether an entry of this sync begins at the offset or later, or in another segment."""
    return sync.segment != segment or sync.content.find(b"\xf5ENT", max(0, offset - sync.offset)) >= 0


@given(data=st.data())
def test_lost_sectors_of_an_earlier_sync_are_no_torn_end(recording: Recording, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(recording.syncs) - 2))
    later = data.draw(st.integers(number + 1, len(recording.syncs) - 1))
    lost, last = recording.syncs[number], recording.syncs[later]
    whole = with_start(last, len(last.content))
    image = bytearray(whole[lost.segment])
    at = lost.offset + data.draw(st.integers(0, len(lost.content) - 1))
    start = max(at // SECTOR_BYTES * SECTOR_BYTES, SEGMENT_HEADER_BYTES)
    stop = (at // SECTOR_BYTES + 1) * SECTOR_BYTES
    image[start:stop] = bytes(stop - start)
    # Where no later entry begins after the lost sector, nothing is left that tells it from an unfinished write.
    assume(any(begins_after(sync, lost.segment, stop) for sync in recording.syncs[number + 1 : later + 1]))
    files = {**whole, lost.segment: bytes(image)}
    if last.is_sealed(lost.segment, min(stop, lost.offset + len(lost.content)) - 1):
        assert_noticed(files)
    else:
        with disk(files) as directory, pytest.raises(Broken):
            opened(directory)


def test_a_whole_segment_taken_away_is_noticed(recording: Recording) -> None:
    last = recording.syncs[-1]
    whole = with_start(last, len(last.content))
    for name in (one for one in whole if one.startswith("wal/") and one != last.segment):
        rest = {key: content for key, content in whole.items() if key != name}
        if segment_at(name) < last.sealed.segment:
            assert_noticed(rest)
        else:
            with disk(rest) as directory, pytest.raises(Broken):
                opened(directory)


def test_a_rolled_back_log_beside_something_newer_that_was_signed_or_recorded_stays_shut(
    recording: Recording,
) -> None:
    early, late = recording.syncs[2], recording.syncs[-1]
    for name in ("checkpoint", "checkpoints.log", "cosigned", "cosigned.log", "head"):
        files = {**with_start(early, len(early.content)), name: late.before[name]}
        with disk(files) as directory, pytest.raises(Broken) as refused:
            opened(directory)
        assert refused.value.code in ("ledger.entries_missing", "ledger.corrupt")


def test_the_recording_itself_opens_in_every_state(recording: Recording) -> None:
    whole: dict[str, bytes] = {}
    for number, sync in enumerate(recording.syncs):
        # Mostly what the sync before left, which has been opened.
        if sync.before != whole:
            assert_survives(recording, number, sync.before)
        whole = with_start(sync, len(sync.content))
        assert_opens(recording, whole, least=sync.size_after, most=sync.size_after)


def test_torn_histories_of_checkpoints_are_mended(recording: Recording) -> None:
    last = recording.syncs[-1]
    whole = with_start(last, len(last.content))
    for name in ("checkpoints.log", "cosigned.log"):
        history = whole[name]
        for lost in (1, 2, 60, 110, 180):
            for rest in (history[:-lost], history[:-lost] + bytes(lost)):
                with disk({**whole, name: rest}) as directory:
                    asyncio.run(closed_again(directory))
                    report = verify_ledger(directory, key=log_key()[0])
                    assert (report.errors, report.warnings) == (0, 0), report.as_lines()


async def closed_again(directory: Path) -> None:
    ledger = opened(directory)
    ledger.publish_cosigned(ledger.checkpoint.encode())
    await ledger.close()
