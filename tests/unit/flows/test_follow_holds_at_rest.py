"""Nobody looks for holds while nothing is open that one could cut; what is opened is looked after at once."""

from __future__ import annotations

import math
from contextlib import closing
from functools import partial
from typing import Any

import anyio
import pytest

from answerable.adapters.sqlite import SqliteHoldRegister, SqliteRevocationRegister
from answerable.core.containment.hold import EVERYTHING, Hold, HoldId
from answerable.errors import Refused
from answerable.flows.containment.follow_holds import follow_holds
from answerable.flows.containment.refuse_held import open_stream
from answerable.testing.builders import Bench
from answerable.testing.registers import elsewhere
from tests.worlds.gateway import until
from tests.worlds.hold import bench_to_hold

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HOUSE-30")]
TURNS = 50


def looks(bench: Bench) -> list[int]:
    """Each look of whoever follows holds from here on; whoever is asked for a hold by name does not count."""
    epoch, seen = bench.authority.holds.epoch, []

    def counted() -> int:
        seen.append(1)
        return epoch()

    bench.authority.holds.epoch = counted
    return seen


def held_by_another_process(bench: Bench) -> None:
    """In the file alone and in the number that all processes share: this one is told nothing else."""
    with closing(elsewhere(bench.store)) as store:
        there = SqliteHoldRegister(store, SqliteRevocationRegister(store, clock=bench.clock))
        there.place(Hold(id=HoldId("hold_" + "x" * 22), what=EVERYTHING, at=bench.clock.now(), by="uid:0"))


def following(bench: Bench) -> Any:
    """With no second line: what is not told is never seen."""
    return partial(
        follow_holds,
        bench.recorder.open_intents,
        bench.authority,
        bench.live,
        bench.counters.cuts,
        poll_seconds=0.001,
        rest_seconds=math.inf,
    )


async def test_while_nothing_is_open_nobody_looks():
    bench = await bench_to_hold()
    seen = looks(bench)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(following(bench))
        for _ in range(TURNS):
            await anyio.sleep(0.001)
        assert seen == []
        _, caller = bench.request("get_case", {"case": "4711"})
        ended = open_stream(
            bench.recorder.ledger,
            bench.authority,
            bench.live,
            bench.walk.verification,
            caller,
            "m-1",
            "crm",
            cut=list,
        )
        await until(lambda: len(seen) > 1)
        ended()
        await anyio.sleep(0.01)
        before = len(seen)
        for _ in range(TURNS):
            await anyio.sleep(0.001)
        # At most the look that the last bell is for.
        assert len(seen) <= before + 1
        tasks.cancel_scope.cancel()


async def test_a_stream_that_is_opened_later_is_cut_by_the_hold_of_another_process():
    bench = await bench_to_hold()
    cut: list[str] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(following(bench))
        await anyio.sleep(0.01)
        _, caller = bench.request("get_case", {"case": "4711"})
        open_stream(
            bench.recorder.ledger,
            bench.authority,
            bench.live,
            bench.walk.verification,
            caller,
            "m-1",
            "crm",
            cut=lambda: cut.append("stream"),
        )
        await anyio.sleep(0.01)
        held_by_another_process(bench)
        await until(lambda: cut)
        tasks.cancel_scope.cancel()
    assert cut == ["stream"]


async def test_a_call_under_way_is_cut_by_the_hold_of_another_process():
    bench = await bench_to_hold()
    started = anyio.Event()
    answers: list[Any] = []

    async def hangs(_effect: object) -> None:
        started.set()
        await anyio.sleep_forever()

    async def agent() -> None:
        answers.append(await bench.act("get_case", {"case": "4711"}))

    bench.upstream.before = hangs
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(following(bench))
        await anyio.sleep(0.01)
        tasks.start_soon(agent)
        await started.wait()
        held_by_another_process(bench)
        await until(lambda: answers)
        tasks.cancel_scope.cancel()
    assert answers[0].outcome.status == "indeterminate"
    assert "the call was cut" in answers[0].outcome.detail


async def test_what_is_opened_under_a_hold_of_another_process_is_refused_without_a_look():
    bench = await bench_to_hold()
    _, caller = bench.request("get_case", {"case": "4711"})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(following(bench))
        await anyio.sleep(0.01)
        held_by_another_process(bench)
        with pytest.raises(Refused):
            open_stream(
                bench.recorder.ledger,
                bench.authority,
                bench.live,
                bench.walk.verification,
                caller,
                "m-1",
                "crm",
                cut=list,
            )
        tasks.cancel_scope.cancel()
