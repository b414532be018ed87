"""What is counted of drills: that they were run, and nothing of their shadows; and who sweeps beside them."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import anyio
import anyio.lowlevel
import pytest

from answerable.adapters.sqlite import SqliteFiguresRegister
from answerable.core.containment.drill import DRILL_KINDS, drilled
from answerable.core.containment.shadow import is_shadow_name
from answerable.core.ledger.figure_cells import UNSAID, Cell
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.drills.stage_drill import staged
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.end_instance import SHADOW_SECONDS_MAX, end_unfounded
from answerable.flows.state.drill_desk import DrillState
from answerable.testing.registers import fresh
from tests.worlds.drill import bench_to_drill, documents_with, drill
from tests.worlds.figures import cells_of, comparable, counted_again, entry, folded, plain
from tests.worlds.parts import to_apply

pytestmark = pytest.mark.anyio
SHADOW = "drill-scout-0123abcd"


@pytest.mark.requirement("STAT-12")
async def test_drills_leave_every_figure_as_it_was_but_their_own_number():
    bench, workloads = await bench_to_drill()
    bench.asking.figures.register = fresh(SqliteFiguresRegister)
    await bench.issue("m-1", calls_max=100)
    await bench.act()
    before, decided = await cells_of(bench), bench.asking.figures.latency.count
    for kind in DRILL_KINDS:
        for of, name in (("agent", "scout"), ("capability", "crm.read")):
            assert (await drill(workloads, kind, name, of=of)).passed
    shadows = {leaf["agent"] for leaf in bench.entries(Tag.INTENT)} - {"scout"}
    assert len(shadows) == 6
    assert all(map(is_shadow_name, shadows))
    after = await cells_of(bench)
    expected = {group: plain(cell) for group, cell in before.items()}
    expected[UNSAID] = {**expected.get(UNSAID, plain(Cell())), "drills": 6}
    assert {group: plain(cell) for group, cell in after.items()} == expected
    assert bench.asking.figures.latency.count == decided
    again = counted_again(bench.recorder.ledger)
    assert comparable(again, bench.clock.now()) == expected


@pytest.mark.requirement("STAT-12")
def test_a_drill_that_failed_refusals_that_were_only_counted_and_a_lift_are_told_apart():
    cell = folded(
        [
            entry(0, Tag.DRILL, passed=True),
            entry(1, Tag.DRILL, passed=False),
            entry(2, Tag.REFUSALS_COUNTED, agents={"scout": 3, SHADOW: 40}),
            entry(3, Tag.HOLD_LIFTED, lifted_at=1, name=SHADOW),
            entry(4, Tag.HOLD_LIFTED, lifted_at=1, name="scout"),
            entry(5, Tag.WORKLOAD_ENDED, agent=SHADOW),
        ]
    ).within(0, 1)[UNSAID]
    assert (cell.drills, cell.drills_failed, cell.counted, cell.lifted, cell.ended) == (2, 1, 3, 1, 0)


@pytest.mark.requirement("STAT-12")
@pytest.mark.parametrize("kind", ["Agent", "UseCase"])
async def test_nobody_hides_behind_the_name_of_a_shadow(kind):
    bench, _ = await bench_to_drill()
    [document] = [
        {**one, "metadata": {"name": SHADOW}} for one in documents_with("", "") if one["kind"] == kind
    ][:1]
    with pytest.raises(Refused) as raised:
        await apply_registry(*to_apply(bench.walk), [document], by="operator")
    assert raised.value.code == "registry.reserved_name"
    with pytest.raises(Refused) as raised:
        await bench.issue(SHADOW)
    assert raised.value.code == "mandate.reserved_id"


@pytest.mark.requirement("DRILL-06")
@pytest.mark.parametrize("kind", DRILL_KINDS)
async def test_a_drill_passes_while_another_process_sweeps_all_the_time(kind):
    _, workloads = await bench_to_drill()
    other = replace(
        workloads,
        recorder=copy(workloads.recorder),
        authority=copy(workloads.authority),
        applying=replace(workloads.applying, drills=DrillState()),
    )
    swept = 0

    async def sweep() -> None:
        nonlocal swept
        while True:
            await end_unfounded(other)
            swept += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sweep)
        found = await drill(workloads, kind)
        tasks.cancel_scope.cancel()
    assert found.faults == ()
    assert swept > 10


@pytest.mark.requirement("DRILL-06")
async def test_what_a_crash_leaves_of_a_shadow_ends_once_its_task_has_run_out():
    bench, workloads = await bench_to_drill()
    clock = bench.clock
    async with staged(workloads, drilled("agent", "scout")) as stage:
        assert await end_unfounded(workloads) == ()
        bench.walk.clock = bench.recorder.clock = bench.authority.clock = Later(clock, SHADOW_SECONDS_MAX + 1)
        assert [one.id for one in await end_unfounded(workloads)] == [stage.instance.id]
        bench.walk.clock = bench.recorder.clock = bench.authority.clock = clock


class Later:
    """A clock that is ahead of another."""

    def __init__(self, clock, seconds):
        self._clock, self._ahead = clock, seconds * 1000

    def now(self):
        return self._clock.now() + self._ahead

    def __getattr__(self, name):
        return getattr(self._clock, name)
