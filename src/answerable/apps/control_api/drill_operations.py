"""Drills: test a stop, a revocation or a trace on a shadow, and list past results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.api import drill_answers as answers
from answerable.api.members import Page
from answerable.apps.control_api.call import instant, page_of
from answerable.apps.control_api.operation import Operation, operation
from answerable.core.containment.drill import Drilled, drill_kind, drilled
from answerable.errors import shown
from answerable.errors.codes.containment import DRILL_AMBIGUOUS, DRILL_UNKNOWN
from answerable.flows.drills.run_drill import run_drill
from answerable.flows.drills.stage_drill import not_kept

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.core.containment.drill import Drill

NAME_CHARS_MAX: Final = 63


@operation(
    "POST",
    "/v1/drills",
    id="run_drill",
    summary="Try out a stop, a revocation or a trace on a shadow of an agent or capability",
    answer=answers.Drill,
    body=answers.DrillRequest,
)
async def run(call: Call) -> answers.Drill:
    """Run one drill on what has this name, of the given kind or of the only kind that has such a name."""
    body = call.members("drill", "name", "kind")
    wanted = drill_kind(body.text("drill", chars_max=16))
    name = body.text("name", chars_max=NAME_CHARS_MAX)
    kind = body.text("kind", chars_max=16) if body.has("kind") else _kind(call, name)
    workloads = getattr(call.product, "workloads", None)
    if workloads is None:
        raise not_kept()
    return _drill(await run_drill(workloads, wanted, drilled(kind, name), by=call.by))


@operation(
    "GET",
    "/v1/drills",
    id="list_drills",
    summary="What came of drills, newest first",
    answer=Page[answers.Drill],
)
async def list_drills(call: Call) -> Page[answers.Drill]:
    """List every drill, newest first."""
    register = call.walk.drills.register
    found = register.all() if register is not None else ()
    return page_of(call, found, name=lambda one: one.id, render=_drill)


def _kind(call: Call, name: str) -> str:
    """Return the kind that has this name. Raises Refused (`drill.unknown`, `drill.ambiguous`)."""
    current = call.walk.authority.registry.current
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


def _drill(one: Drill) -> answers.Drill:
    of: Drilled = one.what
    return answers.Drill(
        id=one.id,
        drill=one.kind,
        kind=of.kind,
        name=of.name,
        definition=one.definition,
        shadow=one.shadow,
        at=instant(one.at),
        by=one.by,
        passed=one.passed,
        faults=tuple(one.faults),
        actions=one.actions,
        took=tuple(
            answers.DrillTime(what=name, ms=ms) for name, ms in sorted(one.took, key=lambda mark: mark.ms)
        ),
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    run,
    list_drills,
)
