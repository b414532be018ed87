"""Drills of an agent and of a capability, on the real walk, registers and instances."""

from __future__ import annotations

import pytest

from answerable.adapters.sqlite import SqliteDrillRegister
from answerable.core.containment.drill import DRILL_KINDS, drill_kind, drilled
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Refused, Unavailable
from answerable.flows.recovery.recall_drills import RecalledDrills
from answerable.testing.registers import fresh
from tests.worlds.drill import bench_to_drill, drill
from tests.worlds.stories import lines_of

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("DRILL-02")]


@pytest.mark.parametrize("kind", DRILL_KINDS)
@pytest.mark.parametrize(("of", "name"), [("agent", "scout"), ("capability", "crm.refund")])
async def test_a_drill_passes_on_a_sound_product_and_is_on_record(kind, of, name):
    bench, workloads = await bench_to_drill()
    found = await drill(workloads, kind, name, of=of)
    assert found.faults == ()
    [leaf] = bench.entries(Tag.DRILL)
    assert (leaf["kind"], leaf["of"], leaf["name"], leaf["passed"]) == (kind, of, name, True)
    assert leaf["took_ms"] == dict(found.took)
    assert [*bench.walk.drills.register.of(found.what)] == [found]


@pytest.mark.requirement("DRILL-01")
async def test_a_register_that_lost_drills_has_them_again_from_the_ledger():
    bench, workloads = await bench_to_drill()
    made = [await drill(workloads, "stop"), await drill(workloads, "trace", "crm.read", of="capability")]
    bench.walk.drills.register = fresh(SqliteDrillRegister)
    recalled = RecalledDrills(
        subject_keys=bench.walk.recorder.subject_keys, register=bench.walk.drills.register
    )
    for stored in bench.recorder.ledger.replay():
        if stored.tag == Tag.DRILL:
            recalled.note(stored)
    assert await recalled.restored() == 2
    assert [*bench.walk.drills.register.all()] == made[::-1]
    assert await recalled.restored() == 0


async def test_the_story_of_an_agent_tells_its_drills():
    bench, workloads = await bench_to_drill()
    await drill(workloads, "stop")
    lines = lines_of(bench.recorder, "scout")
    told = [
        line.text for line in lines if line.text.startswith("A stop drill of agent scout, run by uid:1000")
    ]
    assert len(told) == 1
    assert told[0].endswith("passed.")


async def test_one_that_could_not_be_recorded_counts_for_nothing():
    bench, workloads = await bench_to_drill()
    submit = bench.recorder.ledger.submit

    def full(entry):
        if entry.tag == Tag.DRILL:
            raise Unavailable("no room", code="ledger.full", port="ledger")
        return submit(entry)

    bench.recorder.ledger.submit = full
    with pytest.raises(Unavailable):
        await drill(workloads, "stop")
    assert not bench.walk.drills.register.all()


async def test_where_nothing_is_kept_nothing_is_drilled():
    bench, workloads = await bench_to_drill()
    bench.walk.drills.register = bench.walk.drills.ground = None
    with pytest.raises(Refused) as raised:
        await drill(workloads, "stop")
    assert raised.value.code == "drill.not_kept"


@pytest.mark.parametrize(
    ("kind", "name", "code"), [("person", "x", "drill.kind"), ("agent", "No", "name.invalid")]
)
async def test_what_is_drilled_is_an_agent_or_a_capability_by_name(kind, name, code):
    with pytest.raises(Malformed) as raised:
        drilled(kind, name)
    assert raised.value.code == code
    with pytest.raises(Malformed):
        drill_kind("fire")
