"""Drills: test a stop, a revocation or a trace on a shadow, and list past results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.call import Operation, instant, page_of
from answerable.apps.control_api.schemas import (
    COUNT,
    DIGEST,
    FLAG,
    INSTANT,
    TEXT,
    TEXTS,
    choice,
    record,
    sequence,
)
from answerable.core.containment.drill import DRILL_KINDS, DRILLED_KINDS, Drilled, drill_kind, drilled
from answerable.errors import shown
from answerable.errors.codes.containment import DRILL_AMBIGUOUS, DRILL_UNKNOWN
from answerable.flows.drills.run_drill import run_drill
from answerable.flows.drills.stage_drill import not_kept

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.apps.control_api.schemas import Schema
    from answerable.core.containment.drill import Drill

NAME_CHARS_MAX: Final = 63


async def run(call: Call) -> Answer:
    """Run one drill on what has this name, of the given kind or of the only kind that has such a name."""
    body = call.members("drill", "name", "kind")
    wanted = drill_kind(body.text("drill", chars_max=16))
    name = body.text("name", chars_max=NAME_CHARS_MAX)
    kind = body.text("kind", chars_max=16) if body.has("kind") else _kind(call, name)
    workloads = getattr(call.product, "workloads", None)
    if workloads is None:
        raise not_kept()
    return _drill(await run_drill(workloads, wanted, drilled(kind, name), by=call.by))


async def list_drills(call: Call) -> Answer:
    """List every drill, newest first."""
    register = call.walk.drills.register
    found = register.all() if register is not None else ()
    return page_of(call, found, name=lambda one: one.id, render=_drill)


def _kind(call: Call, name: str) -> str:
    """Return the kind that has this name. Raises Refused (`drill.unknown`, `drill.ambiguous`)."""
    current = call.walk.registry.current
    agents: set[str] = {*current.agents}
    found = [
        kind for kind, names in (("agent", agents), ("capability", {*current.capabilities})) if name in names
    ]
    if not found:
        raise DRILL_UNKNOWN(f"there is no agent or capability {shown(name)} in force")
    if len(found) > 1:
        raise DRILL_AMBIGUOUS(
            f"{shown(name)} is an agent and a capability: select one with `--kind agent` or `--kind capability`"
        )
    return found[0]


def _drill(one: Drill) -> Answer:
    of: Drilled = one.what
    return {
        "id": one.id,
        "drill": one.kind,
        "kind": of.kind,
        "name": of.name,
        "definition": one.definition,
        "shadow": one.shadow,
        "at": instant(one.at),
        "by": one.by,
        "passed": one.passed,
        "faults": [*one.faults],
        "actions": one.actions,
        "took": [{"what": name, "ms": ms} for name, ms in sorted(one.took, key=lambda mark: mark.ms)],
    }


COMPONENTS: Final[dict[str, Schema]] = {
    "DrillRequest": record(
        {"drill": choice(*DRILL_KINDS), "name": TEXT, "kind": choice(*DRILLED_KINDS)}, optional=("kind",)
    ),
    "Drill": record(
        {
            "id": TEXT,
            "drill": choice(*DRILL_KINDS),
            "kind": choice(*DRILLED_KINDS),
            "name": TEXT,
            "definition": DIGEST,
            "shadow": TEXT,
            "at": INSTANT,
            "by": TEXT,
            "passed": FLAG,
            "faults": TEXTS,
            "actions": COUNT,
            "took": sequence(record({"what": TEXT, "ms": COUNT})),
        }
    ),
}
"""In addition to those of `schemas`."""

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="run_drill",
        method="POST",
        path="/v1/drills",
        summary="Try out a stop, a revocation or a trace on a shadow of an agent or capability",
        body="DrillRequest",
        answer="Drill",
        run=run,
    ),
    Operation(
        id="list_drills",
        method="GET",
        path="/v1/drills",
        summary="What came of drills, newest first",
        answer="Drill",
        page=True,
        run=list_drills,
    ),
)
