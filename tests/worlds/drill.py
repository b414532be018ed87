"""A bench on which drills run as in the product: the ground that wiring makes, over whatever ports the bench has."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from answerable.adapters.sqlite import SqliteDrillRegister
from answerable.adapters.system import SystemClock
from answerable.core.containment.drill import DRILL_KINDS, drilled
from answerable.flows.drills.run_drill import run_drill
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.registers import fresh
from answerable.wiring.drills import drill_ground
from tests.worlds.enrolment import workloads_over
from tests.worlds.parts import to_govern

if TYPE_CHECKING:
    from answerable.core.containment.drill import Drill, DrillKind
    from answerable.flows.trust_domain.workloads import Workloads


async def bench_to_drill(*, required: bool = False, **ports: Any) -> tuple[Bench, Workloads]:
    # Real time: a report tells what was in flight from what had ended by when.
    bench = await Bench(**{"clock": SystemClock(), **ports}).registered()
    workloads, drills = workloads_over(bench.walk), bench.walk.drills
    drills.required, drills.register = required, fresh(SqliteDrillRegister)
    drills.ground = partial(drill_ground, *to_govern(bench.walk))
    return bench, workloads


async def drill(
    workloads: Workloads, kind: DrillKind, name: str = "scout", *, of: str = "agent", by: str = "uid:1000"
) -> Drill:
    return await run_drill(workloads, kind, drilled(of, name), by=by)


async def drill_all(workloads: Workloads, name: str = "scout", *, of: str = "agent") -> None:
    for kind in DRILL_KINDS:
        found = await drill(workloads, kind, name, of=of)
        assert found.passed, found.faults


def documents_with(kind: str, name: str, **spec: Any) -> list[Any]:
    """The bench's registry, in which one document says something else; None takes a member away."""
    found: list[Any] = []
    for one in bench_documents():
        assert isinstance(one, dict)
        if one["kind"] == kind and one["metadata"] == {"name": name}:
            assert isinstance(one["spec"], dict)
            members = {**one["spec"], **spec}
            one = {**one, "spec": {key: value for key, value in members.items() if value is not None}}
        found.append(one)
    return found
