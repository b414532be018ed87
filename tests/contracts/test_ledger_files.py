"""What only a ledger in files can get wrong."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.adapters.tlog_files import TlogFilesLedger, TlogFilesSettings, directory
from answerable.adapters.tlog_files.settings import Commit
from answerable.core.canonical import parse
from answerable.core.ledger.codec import SEGMENT_HEADER_BYTES
from answerable.core.ledger.entry import Entry
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.note import VerifierKey
from answerable.core.tlog.proof import TlogProof
from answerable.errors import Broken, Malformed, Unavailable
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import (
    ORIGIN,
    log_key,
    owed_entry,
    refusal_entry,
)
from answerable.verify.ledger_history import verify_ledger
from tests.probes.waiting import until
from tests.worlds.ledger_files import (
    SMALL,
    DiskWithRoomFor,
    appended_until_refused,
    is_taken,
    large,
    small_log,
)


@pytest.mark.requirement("LEDGER-02")
def test_appends_of_one_turn_share_one_sync_and_none_returns_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs: list[int] = []
    acknowledged: list[int] = []
    real_sync = os.fdatasync

    def counted(fd: int) -> None:
        assert acknowledged == []
        syncs.append(fd)
        real_sync(fd)

    async def append(ledger: TlogFilesLedger, number: int) -> None:
        await ledger.append(refusal_entry(number))
        acknowledged.append(number)

    async def run() -> None:
        async with small_log(tmp_path / "log", replace(SMALL, commit="inline")) as ledger:
            await asyncio.sleep(0.05)
            monkeypatch.setattr(os, "fdatasync", counted)
            await asyncio.gather(*(append(ledger, number) for number in range(50)))
            monkeypatch.setattr(os, "fdatasync", real_sync)

    asyncio.run(run())
    assert len(syncs) == 1
    assert sorted(acknowledged) == list(range(50))


@pytest.mark.requirement("LEDGER-02")
@pytest.mark.parametrize("commit", ["inline", "thread"])
def test_entries_go_on_over_many_segments(tmp_path: Path, commit: Commit) -> None:
    async def run() -> None:
        async with small_log(tmp_path / "log", replace(SMALL, commit=commit)) as ledger:
            for start in range(0, 400, 20):
                entries = (refusal_entry(number, b"y" * 900) for number in range(start, start + 20))
                await asyncio.gather(*(ledger.append(entry) for entry in entries))
            assert [one.index for one in ledger.replay(250)] == list(range(250, ledger.size))
            assert len(list((tmp_path / "log/wal").glob("*.wal"))) > 5

    asyncio.run(run())
    report = verify_ledger(tmp_path / "log", key=log_key()[0])
    assert report.errors == 0
    assert report.size == report.signed == 401


@pytest.mark.requirement("LEDGER-02")
def test_a_slow_disk_gets_a_writer_thread(tmp_path: Path) -> None:
    class SlowClock(ManualClock):
        def monotonic(self) -> float:
            self.advance(0.001)
            return super().monotonic()

    async def run() -> None:
        key, sign = log_key()
        for clock, expected in ((ManualClock(), True), (SlowClock(), False)):
            ledger = TlogFilesLedger.open(tmp_path / "log", key=key, sign=sign, clock=clock, settings=SMALL)
            assert ledger.syncs_inline is expected
            await ledger.close()

    asyncio.run(run())


async def all_sealed(ledger: TlogFilesLedger) -> None:
    """Until a checkpoint covers every entry that there is by now; the bound is for a hanging test only."""
    size = ledger.size
    for _ in range(60_000):
        if int((ledger.checkpoint or "\n0\n").split("\n")[1]) >= size:
            return
        await asyncio.sleep(0.001)
    raise AssertionError("waited in vain for a checkpoint")


@pytest.mark.requirement("LEDGER-02")
def test_checkpoints_come_by_themselves_while_entries_do(tmp_path: Path) -> None:
    async def run() -> None:
        ledger = small_log(tmp_path / "log", replace(SMALL, seal_slice_entries=7))
        sealing = asyncio.ensure_future(ledger.seal_every(0.01))
        for number in range(100):
            await ledger.append(refusal_entry(number))
            if number % 25 == 0:
                await all_sealed(ledger)
        await all_sealed(ledger)
        before_close = verify_ledger(tmp_path / "log", key=log_key()[0])
        assert before_close.signed == ledger.size
        assert before_close.checkpoints > 3
        await ledger.close()
        await asyncio.wait_for(sealing, 60)

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-02")
def test_every_entry_has_a_proof_that_strangers_can_check(tmp_path: Path) -> None:
    key, _ = log_key()

    async def run() -> None:
        async with small_log(tmp_path / "log") as ledger:
            for number in range(20):
                await ledger.append(refusal_entry(number))
            with pytest.raises(Malformed):
                ledger.inclusion_proof(20)
            ledger.seal()
            for stored in ledger.replay():
                proof = TlogProof.parse(ledger.inclusion_proof(stored.index).encode())
                checkpoint = proof.verify(leaf=stored.leaf_hash, origin=ORIGIN, log_keys=(key,))
                assert checkpoint.size == 21

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-05")
@pytest.mark.parametrize("commit", ["inline", "thread"])
def test_a_full_queue_makes_appends_wait_and_then_refuses_them(tmp_path: Path, commit: Commit) -> None:
    settings = replace(SMALL, commit=commit, queue_bytes_max=8_000, queue_entries_max=8)

    async def run() -> None:
        async with small_log(tmp_path / "log", settings) as ledger:
            entries = [refusal_entry(number, b"z" * 700) for number in range(100)]
            receipts = await asyncio.gather(*(ledger.append(entry) for entry in entries))
            assert sorted(one.index for one in receipts) == list(range(1, 101))

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-05")
def test_an_append_that_waits_too_long_is_refused_and_nothing_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SMALL, commit="thread", queue_entries_max=4, append_wait_seconds_max=0.05)
    real_sync = os.fdatasync

    def slow(fd: int) -> None:
        real_sync(fd)
        time.sleep(0.15)

    async def run() -> None:
        async with small_log(tmp_path / "log", settings) as ledger:
            await asyncio.sleep(0.05)
            monkeypatch.setattr(os, "fdatasync", slow)
            first = asyncio.ensure_future(ledger.append(refusal_entry(0)))
            await asyncio.sleep(0.01)
            others = (ledger.append(refusal_entry(number)) for number in range(1, 9))
            results = await asyncio.gather(first, *others, return_exceptions=True)
            monkeypatch.setattr(os, "fdatasync", real_sync)
            refused = [one for one in results if isinstance(one, Unavailable)]
            assert len(refused) == 4
            assert {(one.code, one.effect) for one in refused} == {("ledger.busy", "none")}
            assert ledger.size == 1 + 5

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-05")
def test_an_entry_larger_than_a_segment_is_refused_so_that_a_smaller_one_can_be_tried(tmp_path: Path) -> None:
    async def run() -> None:
        async with small_log(tmp_path / "log") as ledger:
            with pytest.raises(Unavailable) as refused:
                await ledger.append(refusal_entry(1, b"x" * 70_000))
            assert refused.value.code == "ledger.full"
            await ledger.append(refusal_entry(2))

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-05")
def test_a_leaf_that_the_format_cannot_hold_is_a_fault_of_ours(tmp_path: Path) -> None:
    async def run() -> None:
        async with small_log(tmp_path / "log", replace(SMALL, segment_bytes=262_144)) as ledger:
            for leaf in (b"", b"x" * 65_536):
                with pytest.raises(Broken):
                    await ledger.append(Entry(tag=Tag.OUTCOME, leaf=leaf, attachment=b""))
            await ledger.append(refusal_entry(2))
            assert ledger.size == 2

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-05")
def test_a_full_disk_refuses_new_entries_takes_owed_ones_and_recovers_when_room_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = DiskWithRoomFor(monkeypatch, segments=1)

    async def run() -> None:
        async with small_log(tmp_path / "log") as ledger:
            await appended_until_refused(ledger, large)
            owed = await appended_until_refused(ledger, owed_entry)
            assert owed > 30, "a quarter of the segment was kept for them"
            disk.segments = 10
            await until(lambda: is_taken(ledger, refusal_entry(1)))

    asyncio.run(run())
    assert verify_ledger(tmp_path / "log", key=log_key()[0]).errors == 0


@pytest.mark.requirement("LEDGER-05")
def test_a_log_killed_on_a_full_disk_reopens_and_still_records_what_is_owed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = DiskWithRoomFor(monkeypatch, segments=1)

    async def run() -> None:
        ledger = small_log(tmp_path / "log")
        await appended_until_refused(ledger, large)
        ledger._release()
        with pytest.raises(Unavailable) as refused:
            small_log(tmp_path / "log")
        assert refused.value.code == "ledger.full"
        # Cutting the old segment gave room back, though not for a whole new one.
        real = disk._make

        def small_only(path: Path, size: int) -> None:
            if size > 16_384:
                raise OSError(errno.ENOSPC, "no space")
            real(path, size)

        monkeypatch.setattr(directory, "zero_filled", small_only)
        async with small_log(tmp_path / "log") as again:
            with pytest.raises(Unavailable) as refused:
                await again.append(refusal_entry(1))
            assert refused.value.code == "ledger.full"
            await again.append(owed_entry(1))

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-05")
def test_no_room_for_a_checkpoint_only_delays_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with small_log(tmp_path / "log") as ledger:
            await ledger.append(refusal_entry(1))
            real = directory.replace_files

            def full(path: Path, contents: dict[str, bytes]) -> None:
                raise OSError(errno.ENOSPC, "no space")

            monkeypatch.setattr(directory, "replace_files", full)
            with pytest.raises(Unavailable) as refused:
                ledger.seal()
            assert refused.value.code == "ledger.full"
            await ledger.append(refusal_entry(2))
            monkeypatch.setattr(directory, "replace_files", real)
            assert ledger.seal().split("\n")[1] == "3"

    asyncio.run(run())
    assert verify_ledger(tmp_path / "log", key=log_key()[0]).errors == 0


@pytest.mark.requirement("LEDGER-06")
def test_a_new_log_begins_with_its_name_and_key_and_only_a_disorderly_end_is_an_entry(tmp_path: Path) -> None:
    key, _ = log_key()

    async def run() -> None:
        ledger = small_log(tmp_path / "log")
        assert ledger.recovered is None
        await ledger.append(refusal_entry(1))
        await ledger.close()
        for _ in range(3):
            ledger = small_log(tmp_path / "log")
            stored = list(ledger.replay())
            assert [one.tag for one in stored] == [Tag.GENESIS, Tag.REFUSAL], "who only reads leaves no trace"
            assert ledger.seal().split("\n")[1] == "2"
            await ledger.close()
        genesis = parse(stored[0].leaf)
        assert isinstance(genesis, dict)
        assert (genesis["origin"], genesis["key"]) == (ORIGIN, key.formatted())
        ledger = small_log(tmp_path / "log")
        assert (await ledger.append(refusal_entry(2))).index == 2
        ledger._release()
        ledger = small_log(tmp_path / "log")
        last = list(ledger.replay())[-1]
        reopened = parse(last.leaf)
        assert last.tag == Tag.RECOVERY
        assert isinstance(reopened, dict)
        assert (reopened["clean"], reopened["size"], reopened["cut_bytes"]) == (False, 3, 0)
        await ledger.close()

    asyncio.run(run())
    report = verify_ledger(tmp_path / "log", key=key)
    assert (report.errors, report.warnings) == (0, 0)


@pytest.mark.requirement("LEDGER-06")
def test_a_log_closed_in_order_goes_on_in_its_segment_and_any_other_in_a_new_one(tmp_path: Path) -> None:
    def segments() -> list[str]:
        return sorted(path.name for path in (tmp_path / "log/wal").glob("*.wal"))

    async def run() -> None:
        await small_log(tmp_path / "log").close()
        await small_log(tmp_path / "log").close()
        assert segments() == ["0000000000000000.wal"]
        ledger = small_log(tmp_path / "log")
        await ledger.append(refusal_entry(1))
        ledger._release()
        await small_log(tmp_path / "log").close()
        assert segments() == ["0000000000000000.wal", "0000000000000002.wal"]
        assert (tmp_path / "log/wal/0000000000000000.wal").stat().st_size < 65_536, "its rest was given back"

    asyncio.run(run())
    assert verify_ledger(tmp_path / "log", key=log_key()[0]).errors == 0


@pytest.mark.requirement("LEDGER-06")
def test_a_log_that_has_another_key_does_not_open(tmp_path: Path) -> None:
    other = VerifierKey.ed25519(ORIGIN, log_key("ledger.example/other")[0].public)

    async def run() -> None:
        await small_log(tmp_path / "log").close()
        with pytest.raises(Broken):
            TlogFilesLedger.open(
                tmp_path / "log", key=other, sign=log_key("ledger.example/other")[1], clock=ManualClock()
            )
        await small_log(tmp_path / "log").close()

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-06")
def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    async def run() -> None:
        async with small_log(tmp_path / "log") as ledger:
            await ledger.append(refusal_entry(1))

    asyncio.run(run())
    for path in [tmp_path / "log", *(tmp_path / "log").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.requirement("LEDGER-06")
def test_a_spare_segment_with_a_header_or_rubbish_in_it_is_no_trap(tmp_path: Path) -> None:
    async def run() -> None:
        await small_log(tmp_path / "log").close()
        spare = tmp_path / "log/wal/spare"
        for content in (
            b"h" * SEGMENT_HEADER_BYTES + bytes(65_536 - SEGMENT_HEADER_BYTES),
            b"rubbish",
            b"r" * 65_536,
        ):
            spare.write_bytes(content)
            small_log(tmp_path / "log")._release()

    asyncio.run(run())
    assert verify_ledger(tmp_path / "log", key=log_key()[0]).errors == 0


@pytest.mark.requirement("LEDGER-05")
def test_limits_out_of_range_are_refused() -> None:
    with pytest.raises(Malformed):
        TlogFilesSettings(segment_bytes=1_000)
    with pytest.raises(Malformed):
        TlogFilesSettings(segment_bytes=2**40)
    with pytest.raises(Malformed):
        TlogFilesSettings(segment_bytes=65_536, reserve_bytes=40_000)
    with pytest.raises(Malformed):
        TlogFilesSettings(queue_bytes_max=0)
    assert TlogFilesSettings().reserve == 1_048_576
