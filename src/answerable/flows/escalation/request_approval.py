"""Step 5 of the walk: create or find the durable approval that an action waits for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
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
from answerable.flows.recording.record_entry import pseudonym_of, sealing_for
from answerable.flows.validity.answers_standing import lost_its_yes
from answerable.flows.validity.refuse_revoked import judged_now

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.approval.attention_check import AttentionCheck
    from answerable.core.approval.effect_lines import Lines
    from answerable.core.decision.decision import Decision
    from answerable.core.ledger.entry import Entry
    from answerable.core.ledger.runs import Run
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Recorder
    from answerable.flows.state.steps import Deciding
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.entropy import Entropy
    from answerable.ports.ledger import Ledger

Preview = Callable[["VerifiedRequest", "ApprovalId"], Awaitable["Lines"]]
"""Function that returns the lines displayed beside the card of a waiting action. Raises only Broken, and its
cancellation."""


async def request_approval(
    recorder: Recorder,
    authority: AuthorityRegisters,
    deciding: Deciding,
    verified: VerifiedRequest,
    decision: Decision,
    *,
    at: UnixMillis,
    preview: Preview,
) -> Approval:
    """Return the approval that this action waits for: the one of the same agent, mandate and digest, or a new one.

    An existing approval is voided and people are asked anew if it asks other people than policy does now, is about
    another subject, displayed another action object than there would be now, or lost a yes that it needs. Raises
    Refused, recorded: `approval.denied` while a no of people to this very question is in force, `approval.too_many`
    when people are asked too often, `preview.deferred` for an action that only previews a card; and Unavailable.
    preview: called for each new question, for the additional lines of its card.
    """
    mandate, asking = verified.mandate, deciding.asking
    asked = asking.under_way.asking
    counters, policies = deciding.counters, deciding.policies
    refused = partial(
        refuse_action, recorder, authority, counters, policies, verified.request, verified.caller
    )
    if verified.request.preview_of:
        # Nobody is asked about an action that would only tell them what they are asked about.
        no = no_from(PREVIEW_DEFERRED(), verified)
        raise await refused(no)
    key = (verified.caller.agent, mandate.id, verified.request.action.digest)
    # Of several concurrent requests for the same action one records it; the others wait and find its approval.
    while (first := asked.get(key)) is not None:
        await first.wait()
    noted: tuple[str, ...] = ()
    stale: tuple[Approval, tuple[str, ...]] | None = None
    waiting = authority.approvals.matching(*key, at)
    if waiting is not None:
        other = card_mismatch(waiting, verified, decision)
        if not other and lost_its_yes(authority, asking, waiting, at):
            # A person who said yes left, or is no longer a deputy: other people must be asked.
            other = ("whose yes counts",)
        if not other:
            return waiting
        stale = (waiting, other)
        noted = (f"asked before, as {waiting.id}: since then {' and '.join(other)} changed",)
    said_no = authority.approvals.denied(*key, at) if waiting is None else None
    if said_no is not None and not {*card_mismatch(said_no, verified, decision)} - {ASKED_FOR}:
        # People are asked once: a repeated request gets their answer, also if a wider request was narrowed to the same
        # action.
        no = no_from(told_no(said_no), verified)
        raise await refused(no)
    fault = too_many(
        authority.approvals,
        asking.under_way,
        asking.limits,
        verified,
        decision,
        at=at,
        ends=stale[0].id if stale else None,
    )
    if fault is not None:
        raise await refused(no_from(fault, verified))
    asked[key] = done = Event()
    try:
        if stale is not None:
            await void(recorder, authority.approvals, asking.under_way, *stale)
        noted = (*noted, *proposed_before(authority.approvals, verified, at))
        approval = await ask_people(
            recorder, authority, asking, verified, decision, at=at, noted=noted, preview=preview
        )
        if asking.limits.canaries_per_day:
            asking.canaries.patterns.append((at, verified))
        return approval
    finally:
        del asked[key]
        done.set()


def told_no(approval: Approval) -> Refused:
    """Return the error that tells the agent of a denial: not who denied it, but why, and whether a new request can
    help."""
    return APPROVAL_DENIED(
        (
            f"approval {approval.id} was denied: the action was not run, and the same action is not "
            "sent for approval again"
        ),
        reasons=denial_sentences(approval),
        denial=denial_members(approval),
    )


def _committed(
    limits: WalkLimits, entropy: Entropy, approval: ApprovalId, canary: AttentionCheck | None
) -> str:
    """Return the ledger's commitment, hex, to whether a question is an attention check. For a real question, it is
    random bytes that nobody can open; empty where attention checks are off."""
    if canary is not None:
        return commitment(approval, canary.nonce, canary.wrong, canary.argument)
    return entropy.bytes(NONCE_BYTES).hex() if limits.canaries_per_day else ""


async def ask_people(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    verified: VerifiedRequest,
    decision: Decision,
    *,
    at: UnixMillis,
    preview: Preview,
    noted: tuple[str, ...] = (),
    canary: AttentionCheck | None = None,
) -> Approval:
    """Record, store and announce a new question. canary: it is an attention check, which nothing displays. Raises
    Unavailable."""
    approval = await _question(
        recorder.ledger,
        authority,
        asking.limits,
        recorder.entropy,
        verified,
        decision,
        at=at,
        noted=noted,
        preview=preview,
        canary=canary,
    )
    mandate = verified.mandate
    if canary is not None:
        # Store it first: only the register has what opens the commitment in the ledger.
        authority.approvals.add(approval)
    # 1. The ledger says that people are asked. After a crash here, the agent asks again, under a new id.
    sealing, principal = sealing_for(recorder, verified.subject), pseudonym_of(recorder, mandate.principal)
    under = decided_under(recorder.cited, mandate, decision.policy_set)
    commits = _committed(asking.limits, recorder.entropy, approval.id, canary)

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

    _, left = await recorder.intents.record(mandate.id, entry)
    # 2. It waits, unless it was revoked or held meanwhile by a caller who did not find it in the register to deny it.
    if canary is None:
        authority.approvals.add(approval)
    judged, now = judged_now(authority, verified), recorder.clock.now()
    hold = judged.hold(now)
    denied = replace(approval, state="denied", ended_by=hold.id if hold is not None else "")
    if judged.stopped(now) and authority.approvals.replace(denied, was=approval):
        approval = denied
    else:
        # 3. People are notified. Best effort: `answerable approval list` lists it in any case.
        tell_asked(authority.registry, asking, recorder.clock, approval)
    if left is not None:
        raise left
    return approval


def _ends_at(limits: WalkLimits, verified: VerifiedRequest, at: UnixMillis) -> UnixMillis:
    """Return when the question expires: nobody is asked about an action that could no longer be executed."""
    prepared = (verified.prepared.expires_at,) if verified.prepared else ()
    return UnixMillis(min(at + limits.approval_ttl_ms, verified.mandate.expires_at, *prepared))


async def _question(
    ledger: Ledger,
    authority: AuthorityRegisters,
    limits: WalkLimits,
    entropy: Entropy,
    verified: VerifiedRequest,
    decision: Decision,
    *,
    at: UnixMillis,
    noted: tuple[str, ...],
    preview: Preview,
    canary: AttentionCheck | None,
) -> Approval:
    mandate, name = verified.mandate, ApprovalId(entropy.token())
    expires_at = _ends_at(limits, verified, at)
    shown = action_object(
        verified,
        decision,
        approval=name,
        origin=ledger.origin,
        amounts=money_moved(verified.resolved.capability, verified.arguments),
        at=at,
        expires_at=expires_at,
        noted=noted,
        # What an obligation keeps out of the ledger must not be put into a chat.
        by_click=duties_of(decision.all_obligations).log != "digest"
        and offers_clicks(
            limits,
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
        names=judged_now(authority, verified).names,
        canary=canary,
    )
