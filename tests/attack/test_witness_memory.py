"""Races for a witness's memory, damage to it and failing disks: none gets two histories cosigned."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from answerable.adapters.witness_files import FilesWitnessRegister, files
from answerable.errors import Broken, Unavailable
from answerable.flows.ledger.cosign_checkpoint import cosign_checkpoint
from answerable.ports.witness import Cosigned, Remembered
from tests.worlds.witness import (
    ORIGIN,
    Door,
    Log,
    at_door,
    desk,
    size_in,
)

pytestmark = pytest.mark.anyio

TRUE = Log()
FALSE = Log(forked_at=2)


@pytest.fixture
async def witness(tmp_path: Path) -> AsyncIterator[Door]:
    async with at_door(tmp_path / "w", TRUE) as opened:
        yield opened


@pytest.mark.requirement("WITNESS-04")
async def test_of_requests_that_race_from_one_size_one_is_cosigned(witness: Door) -> None:
    await witness.add(TRUE.request(0, 3))
    answers: list[int] = []

    async def race(size: int) -> None:
        answers.append((await witness.add(TRUE.request(3, size))).status_code)

    async with anyio.create_task_group() as tasks:
        for size in range(4, 20):
            tasks.start_soon(race, size)
    assert sorted(answers) == [200] + [409] * 15


@pytest.mark.requirement("WITNESS-04")
async def test_who_was_slower_by_one_step_gets_the_newer_size_and_no_cosignature(tmp_path: Path) -> None:
    """The window between the check and the memory is held open: another request wins in it."""
    with desk(tmp_path / "w", TRUE) as at:
        cosign_checkpoint(at, TRUE.request(0, 3))

        class Slow(FilesWitnessRegister):
            def advance(self, origin: str, *, seen: bytes | None, newest: bytes) -> bool:
                if size_in(newest) == 5:
                    assert isinstance(cosign_checkpoint(at, TRUE.request(3, 8)), Cosigned)
                return bool(super().advance(origin, seen=seen, newest=newest))

        at.register.__class__ = Slow
        assert cosign_checkpoint(at, TRUE.request(3, 5)) == Remembered(size=8)


@pytest.mark.requirement("WITNESS-04")
def test_threads_that_race_never_cosign_two_histories(tmp_path: Path) -> None:
    with desk(tmp_path / "w", TRUE) as at:
        cosign_checkpoint(at, TRUE.request(0, 2))
        start, won = threading.Barrier(8), []

        def race(number: int) -> None:
            log = TRUE if number % 2 else FALSE
            body = log.request(2, 3 + number)
            start.wait(10)
            if isinstance(cosign_checkpoint(at, body), Cosigned):
                won.append(number)

        threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(won) == 1


@pytest.mark.requirement("WITNESS-04")
def test_a_second_witness_on_the_same_memory_does_not_start(tmp_path: Path) -> None:
    with desk(tmp_path / "w", TRUE):
        with pytest.raises(Unavailable) as refused:
            FilesWitnessRegister.open(tmp_path / "w")
        assert refused.value.code == "witness.locked"
        looking = FilesWitnessRegister.reading(tmp_path / "w")
        with pytest.raises(Unavailable):
            looking.advance(ORIGIN, seen=None, newest=b"x\n")


@pytest.mark.requirement("WITNESS-07")
@pytest.mark.parametrize(
    "damage", ["torn", "empty", "gone", "zeros", "noise", "other log", "older", "unsigned", "long"]
)
async def test_a_damaged_memory_is_never_taken_for_an_empty_or_older_one(
    witness: Door, tmp_path: Path, damage: str
) -> None:
    await witness.add(TRUE.request(0, 3))
    (path,) = (tmp_path / "w/logs").glob("*/checkpoint")
    older = path.read_bytes()
    await witness.add(TRUE.request(3, 8))
    content = path.read_bytes()
    match damage:
        case "torn":
            path.write_bytes(content[: len(content) // 2])
        case "empty":
            path.write_bytes(b"")
        case "gone":
            path.unlink()
        case "zeros":
            path.write_bytes(bytes(len(content)))
        case "noise":
            path.write_bytes(b"noise\n")
        case "other log":
            other = Log(origin="log.example/two")
            witness.desk.register.add(other.key)
            cosign_checkpoint(witness.desk, other.request(0, 3))
            written = witness.desk.register.log(other.origin)
            assert written is not None
            assert written.newest is not None
            path.write_bytes(written.newest)
        case "older":
            # The one thing that its own files cannot tell: so the log is who must remember, and ask.
            path.write_bytes(older)
            assert (await witness.add(TRUE.request(8, 9))).status_code == 409
            return
        case "unsigned":
            path.write_bytes(TRUE.note(3))
        case _:
            path.write_bytes(content * 5_000)
    for body in (TRUE.request(0, 9), TRUE.request(8, 9), FALSE.request(0, 9)):
        assert (await witness.add(body)).status_code == 500
    with pytest.raises(Broken) as told:
        cosign_checkpoint(witness.desk, FALSE.request(0, 9))
    assert told.value.code == "witness.state_damaged"
    assert "restore it from a backup, never remove it" in told.value.message


@pytest.mark.requirement("WITNESS-07")
@pytest.mark.parametrize("point", ["write", "fsync", "replace", "sync_directory"])
def test_a_disk_that_fails_at_any_step_lets_no_cosignature_out_and_no_later_one_contradict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with desk(tmp_path / "w", TRUE) as at:
        cosign_checkpoint(at, TRUE.request(0, 3))
        with monkeypatch.context() as broken:
            broken.setattr(files if point == "sync_directory" else os, point, failing)
            with pytest.raises(Unavailable):
                cosign_checkpoint(at, TRUE.request(3, 8))
        with pytest.raises(Unavailable) as told:
            cosign_checkpoint(at, TRUE.request(size_in(at.register.log(ORIGIN).newest), 9))
        assert told.value.code == "witness.poisoned"
    with desk(tmp_path / "w", TRUE) as at:
        log = at.register.log(ORIGIN)
        assert log is not None
        size = size_in(log.newest)
        assert size in (3, 8)
        assert isinstance(cosign_checkpoint(at, TRUE.request(size, 9)), Cosigned)


@pytest.mark.requirement("WITNESS-07")
def test_a_full_disk_stops_one_cosignature_and_not_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with desk(tmp_path / "w", TRUE) as at:
        cosign_checkpoint(at, TRUE.request(0, 3))
        with monkeypatch.context() as broken:
            broken.setattr(os, "write", full)
            with pytest.raises(Unavailable):
                cosign_checkpoint(at, TRUE.request(3, 8))
            assert cosign_checkpoint(at, TRUE.request(0, 2)) == Remembered(size=3), (
                "no evidence, yet an answer"
            )
        assert isinstance(cosign_checkpoint(at, TRUE.request(3, 8)), Cosigned)


@pytest.mark.requirement("WITNESS-07")
def test_a_log_whose_memory_is_gone_while_it_is_judged_gets_no_answer(tmp_path: Path) -> None:
    with desk(tmp_path / "w", TRUE) as at:

        class Vanishing(FilesWitnessRegister):
            def advance(self, origin: str, *, seen: bytes | None, newest: bytes) -> bool:
                shutil.rmtree(tmp_path / "w/logs")
                return False

        at.register.__class__ = Vanishing
        with pytest.raises(Broken):
            cosign_checkpoint(at, TRUE.request(0, 3))
