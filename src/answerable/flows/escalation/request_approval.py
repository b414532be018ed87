"""Step 5 of the walk: an action waits for people, durably."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from anyio import Event

from answerable.core.approval.action_object import ASKED_FOR, action_object
from answerable.core.approval.approval import Approval, ApprovalId
from answerable.core.approval.attention_check import NONCE_BYTES, commitment
from answerable.core.approval.card import card_of
from answerable.core.approval.chat_click import offers_clicks
from answerable.core.approval.denial import denial_members, denial_sentences
from answerable.core.decision.obligation import duties_of
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger import records
from answerable.core.mandate.spend import money_moved
from answerable.errors import Refused
from answerable.errors.codes.action import PREVIEW_DEFERRED
from answerable.errors.codes.approval import APPROVAL_DENIED
from answerable.flows.entries.cite_statement import decided_under
from answerable.flows.entries.refuse_action import no_from, refuse_action
from answerable.flows.escalation.asking_budget import too_many
from answerable.flows.escalation.check_card import card_mismatch, void
from answerable.flows.escalation.propose_narrower import proposed_before
from answerable.flows.escalation.route_approval import tell_asked
from answerable.flows.recording.record_entry import pseudonym_of, record_in_run, sealing_for
from answerable.flows.validity.answers_standing import lost_its_yes
from answerable.flows.validity.refuse_revoked import judged_now

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.approval.attention_check import AttentionCheck
    from answerable.core.approval.effect_lines import Lines
    from answerable.core.decision.decision import Decision
    from answerable.core.ledger.entry import Entry
    from answerable.core.ledger.runs import Run
    from answerable.flows.state.walk import Walk

Preview = Callable[["VerifiedRequest", "ApprovalId"], Awaitable["Lines"]]
"""What people are shown of an action that waits for them. Raises Broken alone, and what cancels it."""


async def request_approval(
    walk: Walk, verified: VerifiedRequest, decision: Decision, *, at: UnixMillis, preview: Preview
) -> Approval:
    """The approval this action waits for: the one asked for by the same agent, mandate and digest, or a new one.

    One that asks for other people than policy does by now, about another subject, or that showed another action object
    than there would be now, is void, as is one to which those who said yes to it count no more, and people are asked
    anew. Raises Refused, recorded: `approval.denied` while a no
    of people to this very question holds, `approval.too_many` when people are asked too much, `preview.deferred`
    for what was asked for a card; and Unavailable. preview: what the card says beside, asked for each new question.
    """
    mandate, asking = verified.mandate, walk.under_way.asking
    if verified.request.preview_of:
        # Nobody is asked about what would only tell them what they are asked about.
        no = no_from(PREVIEW_DEFERRED(), verified)
        raise await refuse_action(walk, verified.request, verified.caller, no)
    key = (verified.caller.agent, mandate.id, verified.request.action.digest)
    # Of those who ask for the same at the same time one writes it down; the others wait for it and find its approval.
    while (first := asking.get(key)) is not None:
        await first.wait()
    noted: tuple[str, ...] = ()
    stale: tuple[Approval, tuple[str, ...]] | None = None
    waiting = walk.approvals.matching(*key, at)
    if waiting is not None:
        other = card_mismatch(waiting, verified, decision)
        if not other and lost_its_yes(walk, waiting, at):
            # Whoever said yes left, or was stood in for by nobody any more: others are asked.
            other = ("whose yes counts",)
        if not other:
            return waiting
        stale = (waiting, other)
        noted = (f"asked before, as {waiting.id}: since then {' and '.join(other)} changed",)
    said_no = walk.approvals.denied(*key, at) if waiting is None else None
    if said_no is not None and not {*card_mismatch(said_no, verified, decision)} - {ASKED_FOR}:
        # People are asked once: who asks again gets their answer, also where something wider comes down to the same.
        no = no_from(told_no(said_no), verified)
        raise await refuse_action(walk, verified.request, verified.caller, no)
    refused = too_many(walk, verified, decision, at=at, ends=stale[0].id if stale else None)
    if refused is not None:
        raise await refuse_action(walk, verified.request, verified.caller, no_from(refused, verified))
    asking[key] = done = Event()
    try:
        if stale is not None:
            await void(walk, *stale)
        noted = (*noted, *proposed_before(walk, verified, at))
        approval = await ask_people(walk, verified, decision, at=at, noted=noted, preview=preview)
        if walk.limits.canaries_per_day:
            walk.canaries.patterns.append((at, verified))
        return approval
    finally:
        del asking[key]
        done.set()


def told_no(approval: Approval) -> Refused:
    """What the agent is told of a no: not who of whom said it, but why, and whether asking again can help."""
    return APPROVAL_DENIED(
        f"approval {approval.id} was denied by people; nothing has been done, and nobody is asked again about the same",
        reasons=denial_sentences(approval),
        denial=denial_members(approval),
    )


def _committed(walk: Walk, approval: ApprovalId, canary: AttentionCheck | None) -> str:
    """What the ledger has of whether a question is a test, hex: what commits to it, or what nobody can open; empty
    where no tests are set up."""
    if canary is not None:
        return commitment(approval, canary.nonce, canary.wrong, canary.argument)
    return walk.entropy.bytes(NONCE_BYTES).hex() if walk.limits.canaries_per_day else ""


async def ask_people(
    walk: Walk,
    verified: VerifiedRequest,
    decision: Decision,
    *,
    at: UnixMillis,
    preview: Preview,
    noted: tuple[str, ...] = (),
    canary: AttentionCheck | None = None,
) -> Approval:
    """A new question, recorded, kept and announced. canary: it is a test, which shows nowhere. Raises Unavailable."""
    approval = await _question(walk, verified, decision, at=at, noted=noted, preview=preview, canary=canary)
    mandate = verified.mandate
    if canary is not None:
        # What opens it is nowhere else: it is kept first, so that whatever the ledger has of it can be told.
        walk.approvals.add(approval)
    # 1. The ledger says that people are asked. A crash after this line: the agent asks again, under a new id.
    sealing, principal = sealing_for(walk, verified.subject), pseudonym_of(walk, mandate.principal)
    under = decided_under(walk, mandate, decision.policy_set)
    commits = _committed(walk, approval.id, canary)

    def entry(run: Run) -> Entry:
        return records.approval_asked(
            verified,
            decision,
            approval,
            at=at,
            sealing=sealing,
            run=run,
            principal=principal,
            policy_ref=under.policy_set,
            mandate_ref=under.mandate,
            commits=commits,
        )

    _, left = await record_in_run(walk, mandate.id, entry)
    # 2. It waits; unless it was revoked or held meanwhile, by somebody who did not find it there to deny it.
    if canary is None:
        walk.approvals.add(approval)
    judged, now = judged_now(walk, verified), walk.clock.now()
    hold = judged.hold(now)
    denied = replace(approval, state="denied", ended_by=hold.id if hold is not None else "")
    if judged.stopped(now) and walk.approvals.replace(denied, was=approval):
        approval = denied
    else:
        # 3. People are told. Best effort: `answerable approval list` shows it in any case.
        tell_asked(walk, approval)
    if left is not None:
        raise left
    return approval


def _ends_at(walk: Walk, verified: VerifiedRequest, at: UnixMillis) -> UnixMillis:
    """Nobody is asked about what could not be executed any more."""
    prepared = (verified.prepared.expires_at,) if verified.prepared else ()
    return UnixMillis(min(at + walk.limits.approval_ttl_ms, verified.mandate.expires_at, *prepared))


async def _question(
    walk: Walk,
    verified: VerifiedRequest,
    decision: Decision,
    *,
    at: UnixMillis,
    noted: tuple[str, ...],
    preview: Preview,
    canary: AttentionCheck | None,
) -> Approval:
    mandate, name = verified.mandate, ApprovalId(walk.entropy.token())
    expires_at = _ends_at(walk, verified, at)
    shown = action_object(
        verified,
        decision,
        approval=name,
        origin=walk.ledger.origin,
        amounts=money_moved(verified.resolved.capability, verified.arguments),
        at=at,
        expires_at=expires_at,
        noted=noted,
        # What an obligation keeps out of our own ledger is not put into a chat.
        by_click=duties_of(decision.all_obligations).log != "digest"
        and offers_clicks(
            walk.limits,
            tier=verified.resolved.capability.tier,
            sensitivity=verified.resolved.capability.sensitivity,
            requirements=decision.requirements,
        ),
    )
    return Approval(
        id=name,
        agent=verified.caller.agent,
        mandate=mandate.id,
        principal=mandate.principal,
        subject=verified.subject,
        capability=verified.resolved.capability.name,
        action=verified.request.action,
        requirements=decision.requirements,
        reasons=tuple(reason.text for reason in decision.reasons),
        internal=tuple(reason.internal for reason in decision.all_reasons if reason.internal),
        created_at=at,
        expires_at=expires_at,
        shown=shown,
        card=card_of(shown, preview=await preview(verified, name)),
        claimed=verified.request.reason,
        names=judged_now(walk, verified).names,
        canary=canary,
    )
