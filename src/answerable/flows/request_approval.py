"""Step 5 of the walk: an action waits for people, durably."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.approval.approval import Approval, ApprovalId
from answerable.core.identity.principal import UnixMillis
from answerable.core.ledger import records
from answerable.core.ledger.entry import SALT_BYTES
from answerable.errors import Refused
from answerable.flows.refuse_action import no_from, refuse_action

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.decision import Decision
    from answerable.flows.walk import Walk


async def request_approval(
    walk: Walk, verified: VerifiedRequest, decision: Decision, *, at: UnixMillis
) -> Approval:
    """The approval this action waits for: the one asked for by the same agent, mandate and digest, or a new one.

    Raises Refused (`approval.too_many`, recorded) when the agent has too many waiting, Unavailable.
    """
    mandate, action = verified.mandate, verified.request.action
    waiting = walk.approvals.matching(mandate.agent, mandate.id, action.digest, at)
    if waiting is not None:
        return waiting
    mine = [a for a in walk.approvals.all(pending_only=True, now=at) if a.agent == mandate.agent]
    if len(mine) >= walk.limits.approvals_pending_per_agent_max:
        too_many = Refused(
            f"{len(mine)} actions of this agent already wait for approval, which is the limit",
            code="approval.too_many",
        )
        no = no_from(too_many, capability=verified.resolved.capability.name)
        raise await refuse_action(walk, verified.request, verified.caller, no)
    approval = Approval(
        id=ApprovalId(walk.entropy.token()),
        agent=mandate.agent,
        mandate=mandate.id,
        principal=mandate.principal,
        capability=verified.resolved.capability.name,
        action=action,
        requirements=decision.requirements,
        reasons=tuple(reason.text for reason in decision.reasons),
        created_at=at,
        expires_at=UnixMillis(min(at + walk.limits.approval_ttl_ms, mandate.expires_at)),
    )
    # 1. The ledger says that people are asked. A crash after this line: the agent asks again, under a new id.
    entry = records.approval_asked(verified, decision, approval, at=at, salt=walk.entropy.bytes(SALT_BYTES))
    await walk.ledger.append(entry)
    # 2. Two calls may have come here together; the first one in the register is the one that counts.
    earlier = walk.approvals.matching(mandate.agent, mandate.id, action.digest, at)
    if earlier is not None:
        return earlier
    walk.approvals.add(approval)
    # 3. People are told. Best effort: `answerable approval list` shows it in any case.
    walk.channel.announce(approval)
    return approval
