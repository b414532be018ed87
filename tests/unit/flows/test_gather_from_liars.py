"""Claims about witnesses that lie: each lie is an alarm with a reason, and what they can prove is no lie."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from answerable.core.tlog.note import Note, signed_note
from answerable.core.tlog.witnessing import AddCheckpoint
from answerable.errors import Broken, Unavailable
from answerable.flows.ledger.cosign_checkpoint import cosign_checkpoint
from answerable.ports.witness import Cosigned, Denied, Remembered, WitnessAnswer
from answerable.testing.clock import ManualClock
from tests.worlds.witness import (
    HonestWitness,
    Ledger,
    Liar,
    Log,
    Rounds,
    cosigned_size,
    cosigners,
    desk,
    ed25519,
    lines,
)

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WITNESS-10")]

TRUE = Log()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Rounds]:
    clock = ManualClock()
    with desk(tmp_path / "w", TRUE, clock=clock) as at:
        yield Rounds(clock=clock, ledger=Ledger(log=TRUE), witness=HonestWitness(at))


LIES = {
    "another text": lambda now: Cosigned(signatures=lines(TRUE.text(7), seconds=now)),
    "another key": lambda now: Cosigned(signatures=lines(TRUE.text(8), seed=10, seconds=now)),
    "a bad signature by its key": lambda now: Cosigned(
        signatures=lines(TRUE.text(8), seed=10, seconds=now, key=cosigners()[0].key)
    ),
    "an old time": lambda now: Cosigned(signatures=lines(TRUE.text(8), seconds=now - 301)),
    "a time ahead": lambda now: Cosigned(signatures=lines(TRUE.text(8), seconds=now + 400)),
    "no time": lambda now: Cosigned(signatures=lines(TRUE.text(8), seconds=0)),
    "more than signatures": lambda now: Cosigned(signatures=lines(TRUE.text(8), seconds=now) + b"junk\n"),
    "nothing": lambda now: Cosigned(signatures=b""),
    "noise": lambda now: Cosigned(signatures=bytes(range(256))),
    "its own checkpoint": lambda now: Cosigned(signatures=b"\nlog.example/one\n3\n"),
    "too many lines": lambda now: Cosigned(signatures=lines(TRUE.text(8), seconds=now) * 65),
    "a smaller size, always": lambda now: Remembered(size=3),
    "the same size, always": lambda now: Remembered(size=8),
    "inconsistent": lambda now: Denied(why="inconsistent"),
    "unknown log": lambda now: Denied(why="unknown log"),
    "unsigned": lambda now: Denied(why="unsigned"),
    "malformed": lambda now: Denied(why="malformed"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_a_witness_that_lies_is_an_alarm_with_a_reason_and_stops_nothing(
    world: Rounds, lie: Any
) -> None:
    now = world.clock.now()
    world.ledger.size = 8
    liar = Liar(world.witness, lambda _: lie(now // 1000))
    rounds = world.rounds(liar)
    await rounds.gather()
    world.clock.advance(10)
    await rounds.gather()
    (state,) = rounds.states()
    assert (state.state, state.since, state.size) == ("alarm", now, 0)
    assert state.reason
    assert world.ledger.published == []
    assert len(liar.requests) <= 6


async def test_a_key_counts_once_however_often_it_signed_and_with_its_newest_time(world: Rounds) -> None:
    world.ledger.size, now = 8, world.clock.now() // 1000
    times = (now - 200, now, now - 100)
    many = Liar(
        world.witness,
        lambda _: Cosigned(signatures=b"".join(lines(TRUE.text(8), seconds=at) for at in times)),
    )
    rounds = world.rounds(many)
    await rounds.gather()
    (note,) = world.ledger.published
    assert len(Note.parse(note).signatures) == 2
    assert rounds.states()[0].cosigned_at == now * 1000


async def test_a_size_that_its_own_copy_refutes_is_a_lie(world: Rounds) -> None:
    world.ledger.size = 8
    liar = Liar(world.witness, lambda _: Remembered(size=1_000_000))
    for copy in (TRUE.note(8), TRUE.note(3)):
        liar.copy = copy
        rounds = world.rounds(liar)
        await rounds.gather()
        assert "own copy" in rounds.states()[0].reason
    # Signed by another key it proves nothing, either.
    forged = signed_note(TRUE.text(9), key=Log(seed=2).key, sign=ed25519(2).sign).encoded()
    for copy in (forged, Log(origin="log.example/two").note(9), b"noise"):
        liar.copy = copy
        rounds = world.rounds(liar)
        await rounds.gather()
        assert rounds.states()[0].state == "alarm"


async def test_a_denial_that_its_own_copy_refutes_is_a_lie_and_one_that_it_proves_is_not(
    world: Rounds,
) -> None:
    world.ledger.size = 8
    liar = Liar(world.witness, lambda _: Denied(why="inconsistent"))
    liar.copy = TRUE.note(5)
    rounds = world.rounds(liar)
    await rounds.gather()
    assert rounds.states()[0].state == "alarm"
    liar.copy = Log(forked_at=2).note(5)
    with pytest.raises(Broken, match="forked"):
        await rounds.gather()


async def test_a_witness_that_forgets_is_an_alarm(world: Rounds) -> None:
    world.ledger.size = 8
    forgetful = Liar(world.witness, lambda request: cosign_checkpoint(world.witness.at, request.encoded()))
    rounds = world.rounds(forgetful)
    await rounds.gather()
    forgetful.answer = lambda _: Remembered(size=3)
    world.ledger.size = 9
    await rounds.gather()
    assert "was rolled back" in rounds.states()[0].reason


async def test_who_brings_a_newer_checkpoint_of_ours_to_a_witness_accuses_nobody(world: Rounds) -> None:
    """A stranger was faster with what the log has just published, while this round still spoke of the one before."""
    world.ledger.size = 8

    class Overtaken(HonestWitness):
        async def add_checkpoint(self, request: AddCheckpoint) -> WitnessAnswer:
            if world.ledger.size == 8:
                world.ledger.size = 12
                cosign_checkpoint(self.at, TRUE.request(0, 12))
            return await super().add_checkpoint(request)

        async def newest(self, origin: str) -> bytes | None:
            return None

    rounds = world.rounds(Overtaken(world.witness.at))
    await rounds.gather()
    assert "newer checkpoint" in rounds.states()[0].reason
    await rounds.gather()
    assert [cosigned_size(note) for note in world.ledger.published] == [12]


async def test_a_copy_of_an_empty_log_proves_nothing_and_one_that_cannot_be_fetched_is_none(
    world: Rounds,
) -> None:
    class Hidden(Liar):
        async def newest(self, origin: str) -> bytes | None:
            raise Unavailable("it was not reached", code="witness.unreachable", port="witness")

    world.ledger.size = 8
    liar = Liar(world.witness, lambda _: Denied(why="inconsistent"))
    liar.copy = TRUE.note(0)
    rounds = world.rounds(liar)
    await rounds.gather()
    assert "own copy" in rounds.states()[0].reason
    hidden = world.rounds(Hidden(world.witness, lambda _: Denied(why="inconsistent")))
    await hidden.gather()
    assert "does not send" in hidden.states()[0].reason
