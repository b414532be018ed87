"""Overview page: pending approvals, active agents, the last day's actions, the ledger and the holds in force."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from answerable.apps.console.activity import LATEST, recent_activity
from answerable.apps.console.review_pages import owed_shown
from answerable.core.containment.hold import described
from answerable.errors import AnswerableError
from answerable.flows.approval.notify_on_call import groups_uncovered
from answerable.flows.approval.report_statistics import report_statistics
from answerable.flows.approval.try_channel import channels_seen
from answerable.flows.walk.agent_standing import standing_of

if TYPE_CHECKING:
    from starlette.responses import Response

    from answerable.apps.console.desk import Asked
    from answerable.flows.state.figures_desk import StatisticsState
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.flows.state.reach_desk import NotificationState
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.clock import Clock
    from answerable.ports.hold_register import HoldRegister
    from answerable.ports.registry_store import RegistryStore

DAY_MS: Final = 86_400_000
FIGURES_SECONDS_MAX: Final = 0.2
"""Longest wait of the page for entries that are not counted yet."""
ACTIVITY_SECONDS_MAX: Final = 3.0
"""Longest wait of the page for the latest activity: people come for what waits for them."""
LINES_MAX: Final = 8


async def overview(asked: Asked) -> Response:
    """Show the page, or with `part` only the part that changes."""
    walk = asked.walk
    template = "overview_part.html" if "part" in asked.request.query_params else "overview.html"
    return asked.page(
        template,
        waiting=_waiting(walk.authority.approvals, walk.clock),
        agents=agents_counted(walk.authority),
        day=await _day(walk.recorder, walk.authority.registry, walk.asking.figures, walk.policies),
        ledger={"origin": walk.recorder.ledger.origin, "size": walk.recorder.ledger.size},
        holds=holds_in_force(walk.authority.holds, walk.clock),
        reviews=owed_shown(walk.authority.approvals, walk.limits, walk.clock),
        uncovered=groups_uncovered(walk.authority, walk.asking),
        activity=await recent_activity(
            asked.console.needs.searches,
            lines_max=LINES_MAX,
            tags=LATEST,
            seconds_max=ACTIVITY_SECONDS_MAX,
        ),
        silent=await _silent(walk.asking.reach, walk.limits, walk.clock),
        empty=not walk.authority.registry.current.agents,
    )


def holds_in_force(holds: HoldRegister, clock: Clock) -> list[dict[str, Any]]:
    """Return the holds in force, newest first."""
    now = clock.now()
    return [
        {"id": one.id, "what": described(one.what), "by": one.by, "at": one.at, "reason": one.reason}
        for one in holds.all()
        if one.is_in_force(now)
    ]


def agents_counted(authority: AuthorityRegisters) -> dict[str, int]:
    """Count registered agents by state: `active`, `stopped` (held or revoked), and `other`."""
    counted = Counter(standing_of(authority, one)[0] for one in authority.registry.current.agents)
    registered = sum(key.startswith("Agent/") for key in authority.registry.documents())
    stopped = counted["stopped"] + counted["revoked"]
    return {
        "active": counted["active"],
        "stopped": stopped,
        "other": registered - counted["active"] - stopped,
    }


def _waiting(approvals: ApprovalRegister, clock: Clock) -> dict[str, int]:
    pending = list(approvals.all(pending_only=True, now=clock.now()))
    return {"count": len(pending), "oldest": min((one.created_at for one in pending), default=0)}


async def _silent(reach: NotificationState | None, limits: WalkLimits, clock: Clock) -> list[dict[str, str]]:
    """Return the notification channels that cannot deliver now."""
    try:
        return [
            {"name": one.name, "why": one.state.error}
            for one in await channels_seen(reach, limits, clock)
            if one.state.error
        ]
    except AnswerableError as error:
        return [{"name": "every channel", "why": error.message}]


async def _day(
    recorder: Recorder, registry: RegistryStore, figures: StatisticsState, policies: PolicyState
) -> dict[str, int] | None:
    """Count the last day's actions by their result; None when the figures cannot be computed now."""
    try:
        found = await report_statistics(
            recorder,
            registry,
            figures,
            policies,
            since=recorder.clock.now() - DAY_MS,
            others=False,
            seconds_max=FIGURES_SECONDS_MAX,
        )
    except AnswerableError:
        return None
    cells = found.groups.values()
    return {
        "actions": sum(one.actions for one in cells),
        "alone": sum(one.alone for one in cells),
        "asked": sum(one.asked for one in cells),
        "refused": sum(one.refused for one in cells),
    }
