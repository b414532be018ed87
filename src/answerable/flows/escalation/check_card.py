"""What was approved is what runs: the action as it would run now, held against what people were shown.

Arguments are matched by their digest before anything comes here. This is about the rest: the chain, the tool, what the
agent is made of, the amounts, and the rules that an approval would lift.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from anyio import Event

from answerable.core.approval.action_object import changed_since
from answerable.core.approval.approval import NOTHING_SHOWN, ApprovalId
from answerable.core.decision.asked import read_question
from answerable.core.ledger.records_approvals import approval_void
from answerable.core.ledger.subject import principal_subject
from answerable.core.mandate.spend import money_moved
from answerable.flows.recording.record_entry import key_of, record_in_run

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.approval.approval import Approval
    from answerable.core.decision.decision import Decision
    from answerable.core.decision.facts import Facts
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.entry import Entry
    from answerable.core.ledger.runs import Run
    from answerable.flows.state.walk import Walk


POLICY: Final = "what policy says"
"""Of a question that is void for it, in the words of entries and cards: this changed."""


def card_mismatch(approval: Approval, verified: VerifiedRequest, decision: Decision) -> tuple[str, ...]:
    """What of the action is not as this approval showed it, in words; empty where all is. Raises Refused."""
    if approval.shown == NOTHING_SHOWN:
        return ("how people are asked",)
    amounts = money_moved(verified.resolved.capability, verified.arguments)
    other = changed_since(approval.shown, verified, decision, amounts)
    if decision.effect == "defer" and set(approval.requirements) != set(decision.requirements):
        other = (*other, "who is asked")
    return other


def stale_approval(
    walk: Walk, facts: Facts, verified: VerifiedRequest, decision: Decision
) -> tuple[Approval, tuple[str, ...]] | None:
    """The approval by which this would be allowed, if what would run is not what it showed, and what is other: then it
    is decided again without that approval. Raises Refused."""
    if facts.approval is None or decision.effect != "allow":
        return None
    approval = walk.approvals.find(ApprovalId(facts.approval.id))
    if approval is None:
        return None
    other = card_mismatch(approval, verified, decision)
    return (approval, other) if other else None


async def void_denied(walk: Walk, verified: VerifiedRequest, decision: Decision, at: UnixMillis) -> None:
    """Nobody is asked any more about what policy denies by now, whatever they say: their question is void. What people
    have approved stays so, for what policy says may depend on the hour; and what a hold, a mandate or a hop denies is
    ended where they are. Raises Unavailable."""
    request = verified.request
    waiting = walk.approvals.matching(verified.caller.agent, verified.mandate.id, request.action.digest, at)
    if waiting is None or waiting.state_at(at) != "pending" or not decision.question:
        return
    asked = read_question(decision.question)
    if asked.hold is None and not asked.rule:
        await void(walk, waiting, (POLICY,))


async def void(walk: Walk, approval: Approval, because: tuple[str, ...]) -> None:
    """It answers nothing any more, on record. Whoever changed it at the same moment goes first: it is looked at again
    in any case. Raises Unavailable, and then it stands as before.
    """
    voiding = walk.under_way.voiding
    if (first := voiding.get(approval.id)) is not None:
        # Of those who find it so at the same time one writes it down.
        await first.wait()
        return
    key = key_of(walk, approval.subject or principal_subject(approval.principal))
    digest = key.pseudonym(b"action", approval.action.digest)
    now = walk.clock.now()
    voiding[approval.id] = done = Event()

    def entry(run: Run) -> Entry:
        return approval_void(approval, because, at=now, run=run, digest=digest)

    try:
        # 1. The ledger says so. A crash after this line: whoever asks next finds it so again.
        _, left = await record_in_run(walk, approval.mandate, entry)
        # 2. It is so.
        walk.approvals.replace(replace(approval, state="void", void_because=because), was=approval)
        if left is not None:
            raise left
    finally:
        del voiding[approval.id]
        done.set()
