"""Two processes on one register: one that sleeps while the other stops everything, and one that dies in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteHoldRegister,
    SqliteRevocationRegister,
    SqliteStore,
)
from answerable.adapters.system import SystemClock
from answerable.core.containment.hold import EVERYTHING, holdable
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.revocation.place_hold import place_hold, resume_holds
from answerable.testing.builders import Bench
from tests.probes import warm_starts
from tests.worlds.hold import lift
from tests.worlds.parts import to_hold

pytestmark = pytest.mark.anyio

AGENT = """
import anyio, sys
from pathlib import Path
from answerable.adapters.sqlite import SqliteHoldRegister, SqliteRevocationRegister, SqliteStore
from answerable.adapters.system import SystemClock
from answerable.errors import Refused
from answerable.testing.builders import Bench

async def main() -> None:
    store = SqliteStore.open(Path(sys.argv[1]))
    revocations = SqliteRevocationRegister(store, clock=SystemClock())
    bench = await Bench(revocations=revocations, holds=SqliteHoldRegister(store, revocations)).registered()
    await bench.issue(calls_max=100_000)
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            print((await bench.act()).outcome.status, flush=True)
        except Refused as refused:
            print(refused.code, flush=True)

anyio.run(main)
"""
PLACER = """
import sys
from pathlib import Path
from answerable.adapters.sqlite import SqliteHoldRegister, SqliteRevocationRegister, SqliteStore
from answerable.adapters.system import SystemClock
from answerable.core.containment.hold import EVERYTHING, Hold, HoldId
store = SqliteStore.open(Path(sys.argv[1]))
clock = SystemClock()
holds = SqliteHoldRegister(store, SqliteRevocationRegister(store, clock=clock))
holds.place(Hold(id=HoldId("hold_" + "x" * 22), what=EVERYTHING, at=clock.now(), by="uid:1000"))
print("placed", flush=True)
sys.stdin.read()
"""


class Process:
    def __init__(self, script: str, file: Path) -> None:
        self.child = subprocess.Popen(
            [*warm_starts.program(script), str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write("act\n")
        self.child.stdin.flush()

    def hear(self) -> str:
        assert self.child.stdout is not None
        return self.child.stdout.readline().strip()


@contextmanager
def running(script: str, file: Path) -> Iterator[Process]:
    process = Process(script, file)
    with process.child:
        try:
            yield process
        finally:
            process.child.kill()


async def here(file: Path) -> Bench:
    store = SqliteStore.open(file)
    revocations = SqliteRevocationRegister(store, clock=SystemClock())
    return await Bench(
        revocations=revocations,
        holds=SqliteHoldRegister(store, revocations),
        approvals=SqliteApprovalRegister(store),
    ).registered()


@pytest.mark.requirement("HOLD-15")
async def test_a_process_that_slept_during_the_stop_refuses_its_very_first_action_and_goes_on_after_the_lift(
    tmp_path,
):
    file = tmp_path / "registers.db"
    bench = await here(file)
    with running(AGENT, file) as agent:
        assert agent.hear() == "ready"
        agent.say()
        assert agent.hear() == "succeeded"
        os.kill(agent.child.pid, signal.SIGSTOP)
        placed = await place_hold(*to_hold(bench.walk), holdable("agent", "scout"), by="alice")
        # The action waits in the pipe: it is the very first thing that the process does.
        agent.say()
        os.kill(agent.child.pid, signal.SIGCONT)
        assert agent.hear() == "held.agent"
        os.kill(agent.child.pid, signal.SIGSTOP)
        await lift(bench, placed.hold, "bob")
        agent.say()
        os.kill(agent.child.pid, signal.SIGCONT)
        assert agent.hear() == "succeeded"


@pytest.mark.requirement("HOLD-15")
async def test_a_process_that_dies_right_after_it_has_placed_a_hold_leaves_one_that_the_next_start_goes_on_with(
    tmp_path,
):
    file = tmp_path / "registers.db"
    bench = await here(file)
    await bench.issue()
    waiting = (await bench.refund(6_000)).approval
    with running(PLACER, file) as placer:
        assert placer.hear() == "placed"
        placer.child.send_signal(signal.SIGKILL)
        placer.child.wait()
    with pytest.raises(Refused) as raised:
        await bench.act()
    assert raised.value.code == "held.everything"
    again = await here(file)
    assert await resume_holds(again.walk.recorder, again.walk.authority, overdue_only=False) == 1
    assert again.walk.authority.approvals.find(waiting.id).state == "denied"
    [leaf] = again.entries(Tag.HOLD_PLACED)
    assert (leaf["kind"], leaf["hold"]) == ("everything", "hold_" + "x" * 22)
    pressed = await place_hold(*to_hold(again.walk), EVERYTHING, by="uid:1000")
    assert not pressed.is_new
    assert len(again.entries(Tag.HOLD_PLACED)) == 1
