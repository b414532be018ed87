"""Limit how often people are asked: pending approvals and questions per hour, for each agent and each group.

A question past a limit is refused, never queued. Counts come from the register, so that restarts and other processes
change nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from answerable.errors import Refused
from answerable.errors.codes.approval import APPROVAL_TOO_MANY

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.approval.approval import ApprovalId
    from answerable.core.decision.decision import Decision
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.flows.state.parts import InProgress
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.approval_register import ApprovalRegister

HOUR_MILLIS: Final = 3_600_000


def too_many(
    approvals: ApprovalRegister,
    under_way: InProgress,
    limits: WalkLimits,
    verified: VerifiedRequest,
    decision: Decision,
    *,
    at: UnixMillis,
    ends: ApprovalId | None = None,
) -> Refused | None:
    """Return why nobody is asked about this action (`approval.too_many`); None where people are asked. Where people of
    several groups may answer, every one of these groups must be past its limit. ends: the approval that the new one
    replaces, which then no longer waits. Raises Unavailable."""
    agent = verified.caller.agent
    waits: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    by_agent = hour_of_agent = 0
    for one in approvals.all(pending_only=False, now=at):
        if one.canary is not None:
            continue  # An attention check uses no budget: otherwise an agent could detect it.
        is_waiting = one.state_at(at) == "pending" and one.id != ends
        is_recent = one.created_at > at - HOUR_MILLIS
        if not is_waiting and not is_recent:
            continue
        if one.agent == agent:
            by_agent += is_waiting
            hour_of_agent += is_recent
        for group in {group for wanted in one.requirements for group in wanted.groups}:
            waits[group] += is_waiting
            asked[group] += is_recent
    # Questions of this process on their way into the register. They are few, and their groups are not known yet.
    every = len(under_way.asking)
    coming = sum(other == agent for other, _, _ in under_way.asking)
    if by_agent + coming >= limits.approvals_pending_per_agent_max:
        return _too_many(f"{by_agent + coming} actions of this agent already wait for approval")
    if hour_of_agent + coming >= limits.asked_per_agent_per_hour_max:
        return _too_many(
            f"people were asked about {hour_of_agent + coming} actions of this agent within an hour"
        )
    for wanted in decision.requirements:
        if all(waits[group] + every >= limits.approvals_pending_per_group_max for group in wanted.groups):
            return _too_many(
                f"{min(waits[one] for one in wanted.groups)} actions already wait for {wanted.group}"
            )
        if all(asked[group] + every >= limits.asked_per_group_per_hour_max for group in wanted.groups):
            count = min(asked[one] for one in wanted.groups)
            return _too_many(f"{wanted.group} were asked {count} times within an hour")
    return None


def _too_many(what: str) -> Refused:
    return APPROVAL_TOO_MANY(
        f"{what}, which is the limit: no approval was requested; a task that covers such actions "
        "needs no approval for each"
    )
