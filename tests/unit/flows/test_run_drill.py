"""Drills of an agent and of a capability, on the real walk, registers and instances."""

from __future__ import annotations

import pytest

from answerable.core.containment.drill import DRILL_KINDS
from answerable.core.ledger.tags import Tag
from tests.drill_world import bench_to_drill, drill

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
