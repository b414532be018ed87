"""Claims about the rounds: what honest witnesses give, what slow ones cannot do, and what ends the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from answerable.core.tlog.note import Note
from answerable.core.tlog.witnessing import AddCheckpoint
from answerable.errors import Broken, Unavailable, Unverified
from answerable.ports.witness import WitnessAnswer
from answerable.testing.clock import ManualClock
from tests.worlds.witness import (
    HonestWitness,
    Ledger,
    Log,
    Rounds,
    cosigned_size,
    desk,
)

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WITNESS-10")]

TRUE = Log()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Rounds]:
    clock = ManualClock()
    with desk(tmp_path / "w", TRUE, clock=clock) as at:
        yield Rounds(clock=clock, ledger=Ledger(log=TRUE), witness=HonestWitness(at))


async def test_each_new_checkpoint_is_cosigned_once(world: Rounds) -> None:
    rounds = world.rounds()
    await rounds.gather()
    assert world.witness.requests == [], "there is no checkpoint yet"
    for size in (3, 3, 8, 300):
        world.ledger.size = size
        await rounds.gather()
    assert [cosigned_size(note) for note in world.ledger.published] == [3, 8, 300]
    assert [one.old_size for one in world.witness.requests] == [0, 3, 8]
    (state,) = rounds.states()
    assert (state.state, state.size, state.cosigned_at) == ("ok", 300, world.clock.now() // 1000 * 1000)


async def test_a_restart_learns_from_the_witness_where_it_stands(world: Rounds) -> None:
    world.ledger.size = 5
    await world.rounds().gather()
    world.ledger.size = 9
    after = world.rounds()
    await after.gather()
    assert [one.old_size for one in world.witness.requests] == [0, 0, 5]
    assert cosigned_size(world.ledger.published[-1]) == 9
    again = world.rounds()
    await again.gather()
    assert [one.old_size for one in world.witness.requests[3:]] == [0, 9], "cosigned anew, with its time"


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_a_rolled_back_log_ends_the_process_and_says_both_sizes(world: Rounds, size: int) -> None:
    world.ledger.size = 8
    await world.rounds().gather()
    world.ledger.size = size
    with pytest.raises(Broken, match=rf"size {size}\b.* size 8; bring back the whole ledger") as told:
        await world.rounds().gather()
    assert told.value.code == "ledger.rolled_back"


async def test_it_ends_also_where_the_witness_shows_no_copy(world: Rounds) -> None:
    world.ledger.size = 8
    await world.rounds().gather()

    class Discreet(HonestWitness):
        async def newest(self, origin: str) -> bytes | None:
            return None

    world.ledger.size = 5
    with pytest.raises(Broken, match="8"):
        await world.rounds(Discreet(world.witness.at)).gather()


@pytest.mark.parametrize(("before", "after"), [(8, 8), (8, 12), (5, 300)])
async def test_a_log_that_grew_on_another_history_ends_the_process(
    world: Rounds, before: int, after: int
) -> None:
    world.ledger.size = before
    await world.rounds().gather()
    world.ledger.log, world.ledger.size = Log(forked_at=2), after
    for _ in range(2):
        with pytest.raises(Broken, match=rf"forked.*size {before}\b.*size {after}$") as told:
            await world.rounds().gather()
        assert told.value.code == "ledger.rolled_back"
    assert len(world.ledger.published) == 1


async def test_a_slow_witness_holds_nobody_up(world: Rounds, tmp_path: Path) -> None:
    """Published with the quorum, while one witness still thinks; cancelled in the end, that one is in alarm."""

    class Slow(HonestWitness):
        async def add_checkpoint(self, request: AddCheckpoint) -> WitnessAnswer:
            await anyio.sleep_forever()
            raise AssertionError

    world.ledger.size = 8
    rounds = world.rounds(Slow(world.witness.at, "slow"), world.witness)
    with anyio.move_on_after(0.2) as scope:
        await rounds.gather()
    assert scope.cancelled_caught
    assert [cosigned_size(note) for note in world.ledger.published] == [8]
    assert [(one.name, one.state) for one in rounds.states()] == [("slow", "alarm"), ("w1", "ok")]


async def test_a_witness_that_answered_in_time_is_not_in_alarm_because_the_round_was_cut_short(
    world: Rounds,
) -> None:
    class LastMoment(HonestWitness):
        async def add_checkpoint(self, request: AddCheckpoint) -> WitnessAnswer:
            answer = await super().add_checkpoint(request)
            scope.cancel()
            return answer

    world.ledger.size = 8
    rounds = world.rounds(LastMoment(world.witness.at))
    with anyio.CancelScope() as scope:
        await rounds.gather()
    assert scope.cancelled_caught
    assert (rounds.states()[0].state, world.ledger.published) == ("ok", [])
    await rounds.gather()
    assert [cosigned_size(note) for note in world.ledger.published] == [8], "the next round publishes it"


async def test_an_alarm_ends_when_the_witness_is_back(world: Rounds) -> None:
    rounds = world.rounds()
    world.ledger.size = 8
    world.witness.down = True
    began = world.clock.now()
    for _ in range(3):
        await rounds.gather()
        world.clock.advance(10)
    (state,) = rounds.states()
    assert (state.state, state.since, state.reason) == ("alarm", began, "it was not reached")
    world.witness.down = False
    await rounds.gather()
    (state,) = rounds.states()
    assert (state.state, state.reason, state.since) == ("ok", "", 0)


@pytest.mark.requirement("WITNESS-11")
async def test_actions_are_refused_after_the_set_time_without_a_quorum_and_only_then(world: Rounds) -> None:
    rounds, endless = world.rounds(stop_after_seconds=60), world.rounds()
    world.ledger.size = 8
    world.witness.down = True
    for seconds in (0, 30, 29.9):
        world.clock.advance(seconds)
        for one in (rounds, endless):
            await one.gather()
            assert one.refusal() is None
    world.clock.advance(0.2)
    refused = rounds.refusal()
    assert refused is not None
    assert refused.code == "ledger.unwitnessed"
    assert endless.refusal() is None
    world.witness.down = False
    await rounds.gather()
    assert rounds.refusal() is None
    world.clock.advance(1_000)
    assert rounds.refusal() is None, "without news nothing lacks a cosignature"


@pytest.mark.requirement("WITNESS-11")
async def test_a_quorum_of_two_is_not_met_by_one_witness_with_two_keys(world: Rounds, tmp_path: Path) -> None:
    with ExitStack() as stack:
        other = stack.enter_context(desk(tmp_path / "w2", TRUE, lattice=True, clock=world.clock))
        both, down = HonestWitness(other, "both"), HonestWitness(other, "down")
        down.down = True
        rounds = world.rounds(both, down, quorum=2, stop_after_seconds=1)
        world.ledger.size = 8
        await rounds.gather()
        world.clock.advance(2)
        assert rounds.refusal() is not None
        (note,) = world.ledger.published
        assert len(Note.parse(note).signatures) == 3, "what there is is published, quorum or not"


async def test_what_the_ledger_fails_at_is_not_blamed_on_a_witness_and_ends_the_round(world: Rounds) -> None:
    class Failing(Ledger):
        failure = "ledger.poisoned"

        def publish_cosigned(self, note: bytes) -> bool:
            if self.failure:
                raise Unavailable("it cannot", code=self.failure, port="ledger")
            return super().publish_cosigned(note)

    world.ledger = ledger = Failing(log=TRUE, size=8)
    rounds = world.rounds()
    with pytest.raises(Unavailable) as told:
        await rounds.gather()
    assert told.value.port == "ledger"
    for code, published in (("ledger.full", 0), ("", 1), ("", 1)):
        ledger.failure = code
        await rounds.gather()
        assert len(ledger.published) == published, "a full disk only delays it"


async def test_a_tree_that_its_own_cosigned_checkpoint_does_not_fit_ends_the_process(world: Rounds) -> None:
    class Damaged(Ledger):
        def publish_cosigned(self, note: bytes) -> bool:
            raise Unverified("another root", code="ledger.cosigned_other", step="checkpoint.root")

    world.ledger = Damaged(log=TRUE, size=8)
    with pytest.raises(Broken) as told:
        await world.rounds().gather()
    assert told.value.code == "ledger.corrupt"


async def test_two_rounds_at_once_take_turns(world: Rounds) -> None:
    world.ledger.size = 8
    rounds = world.rounds()
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(rounds.gather)
    assert len(world.witness.requests) == 1
    assert len(world.ledger.published) == 1


async def test_rounds_go_on_until_they_are_cancelled(world: Rounds) -> None:
    rounds = world.rounds(round_seconds=0.005)
    with anyio.move_on_after(5) as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(rounds.gather_always)
            for size in (3, 8):
                world.ledger.size = size
                while True:
                    if rounds.states()[0].size == size:
                        break
                    await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()
    assert not scope.cancelled_caught


@pytest.mark.requirement("SAME-28")
@pytest.mark.parametrize("until", ["it answers", "it ends", "a minute is over"])
async def test_a_witness_that_is_being_started_is_not_in_alarm(world: Rounds, until: str) -> None:
    rounds, world.ledger.size = world.rounds(), 3
    (name,) = (one.name for one in rounds.states())
    rounds.starting.begin(name)
    world.witness.down = True
    await rounds.gather()
    assert rounds.states()[0].state == "waiting"
    match until:
        case "it answers":
            world.witness.down = False
            await rounds.gather()
            assert rounds.states()[0].state == "ok"
            world.witness.down, world.ledger.size = True, 8
        case "it ends":
            rounds.starting.done(name)
        case _:
            world.clock.advance(60)
    await rounds.gather()
    assert rounds.states()[0].state == "alarm"
