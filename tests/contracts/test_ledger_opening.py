"""What opening a log reads, what it rebuilds, what it refuses, and what a crash between two steps leaves for it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.adapters.tlog_files import directory, recovery
from answerable.adapters.tlog_files import ledger as ledger_module
from answerable.adapters.tlog_files.history import NoteHistory
from answerable.adapters.tlog_files.tiles import TileFiles
from answerable.core.ledger.codec import decode_frame
from answerable.core.ledger.head import Head, OpenIntent
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.tile import tiles_of
from answerable.errors import Broken
from answerable.testing.contracts.ledger import end_entry, intent_entry, log_key, refusal_entry
from answerable.verify.ledger_history import verify_ledger
from tests.worlds.ledger import CITED, end, intent
from tests.worlds.ledger_files import SMALL, checkpoint_of, grown, small_log

TINY = replace(SMALL, segment_bytes=16_384, append_wait_seconds_max=20)
"""How long an append may wait is no claim here, and a machine with other work has to be waited for."""


def head_of(path: Path) -> Head:
    return Head.parse((path / "head").read_bytes())


def assert_sound(path: Path) -> None:
    report = verify_ledger(path, key=log_key()[0])
    assert (report.errors, report.warnings) == (0, 0), report.as_lines()


@pytest.mark.requirement("LEDGER-11")
def test_opening_reads_nothing_that_is_sealed_but_its_own_segment(tmp_path: Path) -> None:
    """Proved with a log whose sealed segments cannot be read: it opens, and whoever reads them is told."""

    async def run() -> None:
        async with small_log(tmp_path / "log", TINY) as ledger:
            await grown(ledger, 300)
            ledger.seal()
        segments = sorted((tmp_path / "log/wal").glob("*.wal"))
        assert len(segments) > 5
        for path in segments[:-1]:
            path.write_bytes(b"nothing of it can be read")
        async with small_log(tmp_path / "log", TINY) as ledger:
            assert ledger.size == 300
            assert (await ledger.append(refusal_entry(1))).index == 300
            assert checkpoint_of(ledger).size == 300
            ledger.seal()
            assert ledger.entry(300).tag == Tag.REFUSAL
            with pytest.raises(Broken):
                list(ledger.replay())
            with pytest.raises(Broken):
                ledger.entry(3)

    asyncio.run(run())
    assert verify_ledger(tmp_path / "log", key=log_key()[0]).errors > 0, "an auditor is told"


@pytest.mark.requirement("LEDGER-11")
def test_no_entry_is_read_from_a_segment_that_stands_in_the_place_of_another(tmp_path: Path) -> None:
    async def run() -> None:
        async with small_log(tmp_path / "log", TINY) as ledger:
            await grown(ledger, 300)
            ledger.seal()
        _, one, other, *_ = sorted((tmp_path / "log/wal").glob("*.wal"))
        here, there = one.read_bytes(), other.read_bytes()
        one.write_bytes(there)
        other.write_bytes(here)
        first = directory.first_index(one)
        async with small_log(tmp_path / "log", TINY) as ledger:
            assert ledger.entry(first - 1).index == first - 1
            for index in (first, directory.first_index(other)):
                with pytest.raises(Broken, match="is named after another one") as told:
                    ledger.entry(index)
                assert told.value.code == "ledger.corrupt"
            with pytest.raises(Broken, match="is named after another one"):
                list(ledger.replay())

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-11")
def test_only_what_follows_the_sealed_place_is_taken_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    decode = decode_frame

    def noted(content: bytes, offset: int):
        decoded.append(offset)
        return decode(content, offset)

    async def run() -> None:
        ledger = small_log(tmp_path / "log", TINY)
        await grown(ledger, 200)
        ledger.seal()
        await grown(ledger, 207)
        ledger._release()
        monkeypatch.setattr(recovery, "decode_frame", noted)
        ledger = small_log(tmp_path / "log", TINY)
        # Seven entries, and the end once for each segment that was looked at.
        assert 7 <= len(decoded) <= 9
        assert ledger.size == 208
        await ledger.close()

    asyncio.run(run())
    assert_sound(tmp_path / "log")


@pytest.mark.requirement("LEDGER-11")
def test_the_head_names_the_sealed_place_and_the_open_intents_below_it(tmp_path: Path) -> None:
    async def run() -> None:
        ledger = small_log(tmp_path / "log", TINY)
        begun = [await ledger.append(intent_entry(number)) for number in range(3)]
        await grown(ledger, 60)
        await ledger.append(end_entry(begun[1].index, Tag.INDETERMINATE))
        ledger.seal()
        late = await ledger.append(intent_entry(9))
        await ledger.append(end_entry(begun[0].index))
        head = head_of(tmp_path / "log")
        assert head.sealed is not None
        assert head.sealed.size == 61
        assert [one.entry for one in head.open] == [begun[0].index, begun[2].index]
        names = {int(path.stem, 16) for path in (tmp_path / "log/wal").glob("*.wal")}
        assert {head.sealed.segment, *(one.segment for one in head.open)} <= names
        ledger._release()
        ledger = small_log(tmp_path / "log", TINY)
        found = ledger.open_intents()
        assert [stored.index for stored in found] == [begun[2].index, late.index]
        assert [stored.leaf_hash for stored in found] == [begun[2].leaf_hash, late.leaf_hash]
        await ledger.close()

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-11")
def test_a_head_that_lies_about_places_keeps_the_log_shut(tmp_path: Path) -> None:
    async def run() -> None:
        async with small_log(tmp_path / "log", TINY) as ledger:
            begun = await ledger.append(intent_entry(1))
            ledger.seal()
            ((_, _, first_offset),) = head_of(tmp_path / "log").open
            await ledger.append(end_entry(begun.index))
            await grown(ledger, 100)
        path = tmp_path / "log/head"
        true = head_of(tmp_path / "log")
        assert true.sealed is not None
        earlier = sorted(int(one.stem, 16) for one in (tmp_path / "log/wal").glob("*.wal"))[-2]
        for lie in (
            {"offset": true.sealed.offset - 1},
            {"offset": true.sealed.offset + 1},
            {"offset": 2**30},
            {"chain": bytes(32)},
            {"size": 99},
            {"segment": earlier},
            {"segment": earlier + 1},
        ):
            path.write_bytes(replace(true, sealed=replace(true.sealed, **lie)).encoded())
            with pytest.raises(Broken):
                small_log(tmp_path / "log", TINY)
        path.write_bytes(replace(true, chain=bytes(32), size=101).encoded())
        with pytest.raises(Broken) as refused:
            small_log(tmp_path / "log", TINY)
        assert refused.value.code == "ledger.entries_missing"
        for place in (OpenIntent(1, 0, 200), OpenIntent(0, 0, 128), OpenIntent(2, 0, first_offset)):
            path.write_bytes(replace(true, open=(place,)).encoded())
            async with small_log(tmp_path / "log", TINY) as ledger:
                with pytest.raises(Broken):
                    ledger.open_intents()
        path.write_bytes(true.encoded())
        async with small_log(tmp_path / "log", TINY) as ledger:
            assert ledger.open_intents() == ()

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-11")
def test_a_log_whose_checkpoints_are_older_than_its_head_stays_shut(tmp_path: Path) -> None:
    async def run() -> None:
        ledger = small_log(tmp_path / "log")
        await grown(ledger, 10)
        ledger.seal()
        old = {name: (tmp_path / "log" / name).read_bytes() for name in ("checkpoint", "checkpoints.log")}
        await grown(ledger, 20)
        ledger.seal()
        ledger._release()
        for name, content in old.items():
            (tmp_path / "log" / name).write_bytes(content)
        with pytest.raises(Broken) as refused:
            small_log(tmp_path / "log")
        assert "covers 10 entries" in refused.value.message

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-13")
@pytest.mark.parametrize("change", ["flipped", "gone", "short"])
@pytest.mark.parametrize("name", ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44", "tile"])
def test_tiles_that_are_not_right_are_made_anew_from_the_segments(
    tmp_path: Path, name: str, change: str
) -> None:
    path = tmp_path / "log" / name

    async def run() -> None:
        async with small_log(tmp_path / "log", TINY) as ledger:
            await grown(ledger, 300)
            ledger.seal()
        if path.is_dir():
            shutil.rmtree(path)
        elif change == "gone":
            path.unlink()
        else:
            content = path.read_bytes()
            path.write_bytes(content[:-1] if change == "short" else bytes([content[0] ^ 1]) + content[1:])
        async with small_log(tmp_path / "log", TINY) as ledger:
            assert checkpoint_of(ledger).size == 301, "what was there, and that it was damaged"
            for tile in tiles_of(300):
                assert (tmp_path / "log" / tile.path).exists()
            await ledger.append(refusal_entry(1))
        assert (tmp_path / "log/checkpoints.log").read_bytes().count(b"\n\n300\n") <= 1

    asyncio.run(run())
    assert_sound(tmp_path / "log")


@pytest.mark.requirement("LEDGER-13")
def test_tiles_are_not_made_from_segments_that_are_not_what_was_signed(tmp_path: Path) -> None:
    """A bit of a sealed entry and a tile are damaged: neither can vouch for the other."""

    async def run() -> None:
        async with small_log(tmp_path / "log", TINY) as ledger:
            await grown(ledger, 300)
            before = ledger.seal()
        segment = sorted((tmp_path / "log/wal").glob("*.wal"))[1]
        content = bytearray(segment.read_bytes())
        content[content.index(b'"action"') + 3] ^= 1
        segment.write_bytes(content)
        shutil.rmtree(tmp_path / "log/tile")
        with pytest.raises(Broken) as refused:
            small_log(tmp_path / "log", TINY)
        assert segment.name in refused.value.message
        assert (tmp_path / "log/checkpoint").read_text() == before

    asyncio.run(run())


class Crash(BaseException):
    """The process ends here."""


def stopped(real: Callable[..., object], *, after: bool) -> Callable[..., object]:
    """The same function, in which the process ends before or after what it does."""

    def stopping(*arguments: object, **named: object) -> object:
        if after:
            real(*arguments, **named)
        raise Crash

    return stopping


@pytest.mark.requirement("LEDGER-13")
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("place", "name"),
    [
        (TileFiles, "write"),
        (TileFiles, "_settle"),
        (TileFiles, "_draft"),
        (NoteHistory, "append"),
        (TileFiles, "drop_partials"),
        (directory, "replace_files"),
        (directory, "write_all"),
    ],
)
def test_a_crash_in_any_step_of_a_seal_leaves_a_log_that_goes_on(
    tmp_path: Path, place: object, name: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        ledger, first, second = small_log(tmp_path / "log", TINY), intent("a-1"), intent("a-2")
        for entry in CITED:
            await ledger.append(entry)
        begun = await ledger.append(first)
        await grown(ledger, 200)
        ledger.seal()
        ended = await ledger.append(second)
        await grown(ledger, 300)
        await ledger.append(end(second, ended.index, "a-2"))
        leaves = [stored.leaf for stored in ledger.replay()]
        with monkeypatch.context() as patch:
            patch.setattr(place, name, stopped(getattr(place, name), after=after))
            with pytest.raises(Crash):
                ledger.seal()
        shutil.copytree(tmp_path / "log", tmp_path / "after")
        await ledger.close()
        async with small_log(tmp_path / "after", TINY) as again:
            stored = list(again.replay())
            assert [one.leaf for one in stored[:-1]] == leaves
            assert stored[-1].tag == Tag.RECOVERY
            assert b"tiles_damaged" not in stored[-1].leaf
            assert [one.index for one in again.open_intents()] == [begun.index]
            assert checkpoint_of(again).size == 302
            assert not list((tmp_path / "after/tile.new").iterdir())
        partials = {
            str(one.relative_to(tmp_path / "after")) for one in (tmp_path / "after/tile").rglob("*.p")
        }
        assert partials == {"tile/0/001.p", "tile/1/000.p", "tile/entries/001.p"}

    asyncio.run(run())
    assert_sound(tmp_path / "after")


@pytest.mark.requirement("LEDGER-18")
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("lost", [0, 1, 60, 180])
def test_a_torn_history_of_cosigned_checkpoints_is_mended(tmp_path: Path, lost: int, zeros: bool) -> None:
    async def run() -> None:
        path, notes = tmp_path / "log/cosigned.log", []
        async with small_log(tmp_path / "log") as ledger:
            for size in (1, 5):
                await grown(ledger, size)
                notes.append(ledger.seal().encode())
                ledger.publish_cosigned(notes[-1])
        content = path.read_bytes()
        assert content == b"".join(note + b"\n" for note in notes)
        path.write_bytes(content[: len(content) - lost] + bytes(lost if zeros else 0))
        async with small_log(tmp_path / "log") as ledger:
            assert ledger.cosigned.encode() == notes[-1], "the other file has it"
            await grown(ledger, 9)
            notes.append(ledger.seal().encode())
            ledger.publish_cosigned(notes[-1])
        kept = notes if lost == 0 else [notes[0], notes[2]]
        assert path.read_bytes() == b"".join(note + b"\n" for note in kept)

    asyncio.run(run())
    assert_sound(tmp_path / "log")


@pytest.mark.requirement("LEDGER-11")
def test_much_that_is_not_sealed_does_not_hold_the_opening_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        ledger = small_log(tmp_path / "log")
        await grown(ledger, 400)
        ledger._release()
        monkeypatch.setattr(ledger_module, "SEALED_AT_OPENING_BYTES_MAX", 10_000)
        ledger = small_log(tmp_path / "log")
        assert checkpoint_of(ledger).size == 1
        sealing = asyncio.ensure_future(ledger.seal_every(0.001))
        for _ in range(1_000):
            await asyncio.sleep(0.001)
            if checkpoint_of(ledger).size == 401:
                break
        assert checkpoint_of(ledger).size == 401
        sealing.cancel()
        await ledger.close()

    asyncio.run(run())
    assert_sound(tmp_path / "log")


@pytest.mark.requirement("LEDGER-14")
def test_a_log_of_the_first_version_is_verified_whole_once_and_gets_its_tiles(tmp_path: Path) -> None:
    async def run() -> None:
        async with small_log(tmp_path / "log", TINY) as ledger:
            begun = await ledger.append(intent_entry(1))
            await grown(ledger, 300)
            before = ledger.seal()
        log = tmp_path / "log"
        # What version 1 would have written: no tiles, and a head without places.
        shutil.rmtree(log / "tile")
        whole = head_of(log)
        (log / "head").write_bytes(replace(whole, sealed=None, open=()).encoded())
        async with small_log(log, TINY) as ledger:
            assert ledger.checkpoint == before
            assert [stored.index for stored in ledger.open_intents()] == [begun.index]
            assert head_of(log).sealed == whole.sealed
            assert head_of(log).open == whole.open
        assert set(tiles_of(300)) == {name for name in tiles_of(300) if (log / name.path).exists()}
        assert head_of(log) == whole
        (log / "head").write_bytes(replace(whole, sealed=None, open=()).encoded())
        first = min((log / "wal").glob("*.wal"))
        content = bytearray(first.read_bytes())
        content[200] ^= 1
        first.write_bytes(content)
        with pytest.raises(Broken):
            small_log(log, TINY)

    asyncio.run(run())
