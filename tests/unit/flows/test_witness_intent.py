"""Claims about waiting for witnesses: one checkpoint for all who come together, and no longer than asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from answerable.errors import Broken
from answerable.flows.ledger.witness_intent import RETRY_SECONDS, LedgerIntentWitness, intent_witness
from answerable.testing.clock import ManualClock
from tests.worlds.witness import HonestWitness, Ledger, Log, Rounds, desk

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("OBL-08")]

TRUE = Log()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Rounds]:
    clock = ManualClock()
    with desk(tmp_path / "w", TRUE, clock=clock) as at:
        yield Rounds(clock=clock, ledger=Ledger(log=TRUE), witness=HonestWitness(at))


class Sealing:
    """A log whose checkpoints reach to `durable` whenever one is made."""

    def __init__(self, world: Rounds) -> None:
        self.world, self.durable, self.times = world, 5, 0

    async def seal(self) -> None:
        self.times += 1
        await anyio.lowlevel.checkpoint()
        self.world.ledger.size = self.durable


async def test_an_entry_is_covered_once_a_quorum_has_cosigned_a_checkpoint_over_it(world: Rounds) -> None:
    log, rounds = Sealing(world), world.rounds()
    witness = LedgerIntentWitness(rounds, log.seal)
    assert await witness.covers(4, seconds_max=5)
    assert (rounds.covered, log.times) == (5, 1)
    assert await witness.covers(2, seconds_max=0)
    assert log.times == 1, "what is covered already needs no round"
    log.durable = 9
    assert await witness.covers(8, seconds_max=5)
    assert rounds.covered == 9


async def test_those_who_come_together_are_covered_by_one_checkpoint(world: Rounds) -> None:
    log = Sealing(world)
    log.durable = 60
    witness = LedgerIntentWitness(world.rounds(), log.seal)
    seen: list[bool] = []

    async def one(index: int) -> None:
        seen.append(await witness.covers(index, seconds_max=5))

    async with anyio.create_task_group() as tasks:
        for index in range(50):
            tasks.start_soon(one, index)
    assert seen == [True] * 50
    assert log.times == 1
    assert len(world.witness.requests) == 1


async def test_a_witness_that_is_down_covers_nothing_and_holds_nobody_longer_than_asked(
    world: Rounds,
) -> None:
    world.witness.down = True
    witness = LedgerIntentWitness(world.rounds(), Sealing(world).seal)
    with anyio.fail_after(2):
        assert not await witness.covers(1, seconds_max=0.05)
    world.witness.down = False
    assert await witness.covers(1, seconds_max=5)


async def test_a_checkpoint_that_ends_right_before_an_entry_is_not_asked_for_again_at_once(
    world: Rounds,
) -> None:
    log = Sealing(world)
    witness = LedgerIntentWitness(world.rounds(), log.seal)
    assert not await witness.covers(log.durable, seconds_max=RETRY_SECONDS / 2)
    assert log.times == 1


async def test_less_than_the_quorum_covers_nothing(world: Rounds) -> None:
    other = HonestWitness(world.witness.at, name="w2")
    other.down = True
    rounds = world.rounds(world.witness, other, quorum=2)
    witness = LedgerIntentWitness(rounds, Sealing(world).seal)
    assert not await witness.covers(1, seconds_max=0.05)
    assert rounds.covered == 0


async def test_a_log_that_went_back_is_no_answer_but_the_end(world: Rounds) -> None:
    world.ledger.size = 9
    await world.rounds().gather()
    log = Sealing(world)
    witness = LedgerIntentWitness(world.rounds(), log.seal)
    with pytest.raises(Broken) as fell:
        await witness.covers(4, seconds_max=5)
    assert fell.value.code == "ledger.rolled_back"


async def test_without_as_many_witnesses_as_the_quorum_takes_there_is_nobody_to_ask(world: Rounds) -> None:
    seal = Sealing(world).seal
    assert intent_witness(world.rounds(), seal) is not None
    assert intent_witness(world.rounds(quorum=2), seal) is None
    assert intent_witness(world.rounds(quorum=0), seal) is None
