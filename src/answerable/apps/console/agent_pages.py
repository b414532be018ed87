"""Agent pages: the list, one agent, and the button that places a hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from answerable.apps.console.activity import recent_activity
from answerable.apps.console.desk import see_other
from answerable.core.containment.hold import REASON_CHARS_MAX, HoldId, described, holdable
from answerable.core.identity.names.principal import AgentId, agent_id
from answerable.errors import Refused, shown
from answerable.errors.codes.services import CONSOLE_GONE, REQUEST_BODY
from answerable.flows.drills.report_containment import hold_called, report_containment
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.tokens.trace_mandate import mandates_in
from answerable.flows.walk.agent_standing import standing_of

if TYPE_CHECKING:
    from starlette.responses import Response

    from answerable.apps.console.desk import Asked
    from answerable.core.registry.documents.documents import Agent
    from answerable.flows.state.parts import AuthorityRegisters

LINES_MAX: Final = 20
AGENTS_MAX: Final = 200
"""Agents per page; `after` is the name behind which the next page begins."""
MANDATES_MAX: Final = 20
STOPPABLE: Final = ("agent", "everything")


async def agents(asked: Asked) -> Response:
    """List all registered agents by name."""
    walk = asked.walk
    after = asked.request.query_params.get("after", "")
    names = sorted(
        name.removeprefix("Agent/")
        for name in walk.authority.registry.documents()
        if name.startswith("Agent/")
    )
    rows = [_row(walk.authority, name) for name in names if name > after]
    more = rows[AGENTS_MAX - 1]["name"] if len(rows) > AGENTS_MAX else ""
    return asked.page("agents.html", rows=rows[:AGENTS_MAX], more=more)


async def agent(asked: Asked) -> Response:
    """Show one agent: its registration, its current mandates, and its recent actions."""
    walk = asked.walk
    name = agent_id(asked.request.path_params["name"])
    if f"Agent/{name}" not in walk.authority.registry.documents():
        raise CONSOLE_GONE(f"agent {shown(name)} is not registered")
    found = walk.authority.registry.current.agents.get(name)
    mandates = await mandates_in(walk.authority, "open", "held", "not_yet", "spent", agent=name)
    return asked.page(
        "agent.html",
        agent=_row(walk.authority, name),
        registered=found,
        mandates=mandates[:MANDATES_MAX],
        mandates_count=len(mandates),
        instances=_instances(asked, name),
        activity=await recent_activity(asked.console.needs.searches, lines_max=LINES_MAX, agent=name),
    )


async def stop(asked: Asked) -> Response:
    """Place a hold on an agent or on everything. Requires a recent verification of the person."""
    fields = await asked.form()
    asked.require_fresh()
    kind, name = fields.get("kind", ""), fields.get("name", "")
    if kind not in STOPPABLE:
        raise REQUEST_BODY(f"{shown(kind)} cannot be stopped on this page: use `answerable stop`")
    reason = fields.get("reason", "").strip()
    if len(reason) > REASON_CHARS_MAX:
        raise REQUEST_BODY(f"a reason has at most {REASON_CHARS_MAX} characters")
    _, person = asked.who
    placed = await place_hold(
        asked.walk.recorder,
        asked.walk.authority,
        asked.walk.live,
        asked.walk.counters.cuts,
        holdable(kind, name),
        by=person.name,
        reason=reason,
        workloads=asked.console.needs.workloads,
    )
    return see_other(f"/holds/{placed.hold.id}")


async def hold(asked: Asked) -> Response:
    """Show what a hold stopped and could not stop, as known now; with `part`, only the part that changes."""
    walk = asked.walk
    template = "hold_part.html" if "part" in asked.request.query_params else "hold.html"
    try:
        found = hold_called(walk.authority.holds, HoldId(asked.request.path_params["id"]))
    except Refused as unknown:
        raise CONSOLE_GONE(unknown.message) from None
    report = await report_containment(
        walk.recorder,
        walk.authority,
        walk.live,
        walk.counters.cuts,
        walk.limits,
        found,
        workloads=asked.console.needs.workloads,
    )
    return asked.page(template, hold=found, what=described(found.what), report=report)


def _row(authority: AuthorityRegisters, name: str) -> dict[str, Any]:
    found: Agent | None = authority.registry.current.agents.get(AgentId(name))
    state, held = standing_of(authority, name)
    return {
        "name": name,
        "owner": found.ownership.owner if found is not None else "",
        "environment": found.environment if found is not None else "",
        "tier": "" if found is None or found.tier is None else str(found.tier),
        "state": state,
        "hold": held,
    }


def _instances(asked: Asked, name: AgentId) -> int:
    workloads = asked.console.needs.workloads
    if workloads is None:
        return 0
    now = asked.walk.clock.now()
    return sum(one.is_live(now) for one in workloads.instances.of_agent(name))
