"""Govern one action: parse → verify → gather → decide → (defer) → commit → act → log outcome → answer.

Each step takes the result of the step before, so that the steps cannot run in another order. The five laws:

1. No effect without a durable intent: only a commit (step 6) gives a warrant, and only `Upstream.perform` redeems
   it, once.
2. Names before effects: the idempotency key and the lease name are in the intent.
3. Every intent ends: in this flow, or by `settle_open_intents`.
4. What was approved is what runs: an approval is matched by action digest, and is a fact in the final decision.
5. Denials are recorded, too.
"""

from __future__ import annotations

from asyncio import current_task
from dataclasses import replace
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from anyio import get_cancelled_exc_class

from answerable.core.action.outcome import Outcome
from answerable.core.decision.budget_left import budget_left
from answerable.core.decision.facts import Facts
from answerable.core.decision.obligation import NO_DUTIES
from answerable.core.decision.question import own_calls
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.answer import Answer, with_narrowing
from answerable.core.ledger.warrant import Warrant
from answerable.core.mandate.budget import ONE_CALL
from answerable.core.registry.documents.budget_name import WALL_MS
from answerable.errors import Broken, Refused, Unavailable
from answerable.errors.codes.leases import LEASE_ENDED
from answerable.flows.counters.count_history import history_of
from answerable.flows.counters.watch_rules import watched
from answerable.flows.entries.cite_statement import cited_references
from answerable.flows.entries.log_outcome import end_intent
from answerable.flows.entries.refuse_action import no_from, no_of, refuse_action
from answerable.flows.escalation.check_card import stale_approval, void, void_denied
from answerable.flows.escalation.request_approval import request_approval
from answerable.flows.revocation.end_without_room import no_room
from answerable.flows.validity.answers_standing import groups_now
from answerable.flows.validity.refuse_revoked import judged_now
from answerable.flows.walk.await_documents import await_documents
from answerable.flows.walk.commit_intent import commit_intent
from answerable.flows.walk.decide_action import decide_action, duties_in_force
from answerable.flows.walk.find_plan import find_plan, handed_on
from answerable.flows.walk.hide_tokens import hidden_progress
from answerable.flows.walk.keep_obligations import await_witnesses, heard, show_outcome, tell_groups
from answerable.flows.walk.keep_prepared import kept, with_digest
from answerable.flows.walk.last_look import Grounds, why_not_start
from answerable.flows.walk.pin_tools import admit_first
from answerable.flows.walk.preview_effect import Governing, preview_effect
from answerable.flows.walk.spend_budget import accounts_of, require_left, spend_on, with_rest
from answerable.flows.walk.verify_request import verify

if TYPE_CHECKING:
    from answerable.core.action.request import ActionRequest, VerifiedRequest
    from answerable.core.approval.approval import Approval
    from answerable.core.containment.reach import Judged
    from answerable.core.decision.decision import Decision
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.mandate.budget import Account, Amounts
    from answerable.flows.entries.refuse_action import No
    from answerable.flows.state.parts import AuthorityRegisters, LiveAccess, OpenIntent, Recorder
    from answerable.flows.state.steps import Deciding, Planning
    from answerable.ports.upstream import Progress


async def govern_action(
    recorder: Recorder,
    planning: Planning,
    deciding: Deciding,
    live: LiveAccess,
    request: ActionRequest,
    caller: VerifiedCaller,
    *,
    progress: Progress | None = None,
) -> Answer:
    """Govern one action from its proved caller to its recorded end.

    Raises Unverified, Refused (recorded), Unavailable (says whether an effect is possible), Broken. Cancellation
    cancels only the upstream call: the outcome is still recorded. A receipt of None means that settlement has already
    recorded the end as indeterminate.
    """
    # 2 verify, again after each wait: a failure has no effect; the refusal of a verified principal is recorded.
    verified, amounts, references = None, ONE_CALL, None
    authority, counters, asking = planning.authority, deciding.counters, deciding.asking
    limits, refusal = asking.limits, partial(_refused, recorder, planning, deciding, request, caller)
    try:
        while True:
            try:
                plan = find_plan(planning, counters.quota, recorder.ledger, limits, request, caller)
            except Unavailable as fault:
                await await_documents(fault, authority.registry, deciding.policies)
                continue
            asked = verified = verify(planning, limits, plan, request, caller)
            if (asked.hops or limits.pin_tools_at_first_sight) and await admit_first(
                recorder, planning, asking, asked
            ):
                continue
            # 3 gather, 4 decide: from here on, `verified` is the action as policy narrowed it.
            accounts = plan.accounts
            gather = partial(_watched_facts, plan.judged, accounts)
            verified, facts, decision = decide_action(recorder, planning, deciding, asked, gather)
            if decision.effect == "deny":
                break
            if facts.approval and (stale := stale_approval(authority.approvals, facts, verified, decision)):
                await void(recorder, authority.approvals, asking.under_way, *stale)
                continue
            plain = len(accounts) == 1 and not verified.mandate.budgets
            amounts = ONE_CALL if plain else spend_on(authority.registry, limits, verified, accounts)
            if decision.effect == "defer":
                require_left(authority.mandates, accounts, amounts)
                break
            policies = decision.policy_set
            # Where the log lacks a statement that the intent will cite, it is written, and perhaps decided again.
            references = plan.forms.cited(policies) or await cited_references(
                recorder, authority, counters, deciding.policies, verified, policies
            )
            if references is not None:
                break
    except Refused as refused:
        raise await refusal(no_from(refused, verified)) from None
    if decision.effect == "deny":
        raise await _denied(recorder, planning, deciding, verified, decision, at=facts.at)
    # 5 defer: a durable approval record waits for people; a repeated request finds the same record.
    if decision.effect == "defer":
        approval = await _asked_people(recorder, planning, deciding, live, verified, decision, at=facts.at)
        return with_narrowing(Answer(approval=approval), asked, verified)
    # 6 commit what the action takes and its intent, to disk, and make the warrant. No await between the decision and
    # the place of the intent, so that no other action spends the same budget.
    assert references is not None  # noqa: S101 - only an allow comes here
    grounds = Grounds(plan=plan, caller=caller, verified=verified, facts=facts, decision=decision)
    try:
        warrant, opened, left = await commit_intent(
            recorder, authority, counters, live.leases, limits, grounds, references, amounts
        )
    except Refused as refused:
        raise await refusal(no_from(refused, verified)) from None
    # 7 act, 8 release, 9 log outcome, 10 answer
    answer = await _carried_out(
        recorder, planning, deciding, live, grounds, warrant, opened, amounts, progress, left=left
    )
    return answer if asked is verified else with_narrowing(answer, asked, verified)


async def _carried_out(
    recorder: Recorder,
    planning: Planning,
    deciding: Deciding,
    live: LiveAccess,
    grounds: Grounds,
    warrant: Warrant,
    opened: OpenIntent,
    amounts: Amounts,
    progress: Progress | None,
    *,
    left: BaseException | None,
) -> Answer:
    """Steps 7 to 10: perform the action of an open intent, and record its end. Raises as `govern_action`.

    `left`: as `act` says.
    """
    verified, decision, clock = grounds.verified, grounds.decision, recorder.clock
    # 7 act: a crash between this line and step 9 leaves an open intent, which settlement ends as indeterminate.
    began = clock.monotonic() if WALL_MS in amounts else 0.0
    told = hidden_progress(verified, progress) if progress is not None else None
    outcome, broken_off = await act(
        recorder, planning, deciding, live, grounds, warrant, told or progress, left=left
    )
    # 8 release: the broker ends the lease of one action before it answers, and retries later if that fails.
    # 9 log outcome, with the part of the reservation that is given back
    if amounts is not ONE_CALL or outcome.status == "not_started":
        elapsed_ms = ceil((clock.monotonic() - began) * 1000) if WALL_MS in amounts else 0
        outcome = with_rest(outcome, opened.reserved, verified, elapsed_ms=elapsed_ms)
    answered, outcome = outcome, await show_outcome(verified, decision, outcome, told)
    authority, limits, register = planning.authority, deciding.asking.limits, planning.verification.prepared
    try:
        if grounds.plan.prepares and register is not None and answered.status == "succeeded":
            executing = authority.registry.index.executing(verified.resolved.capability.name)
            outcome = with_digest(executing, register, limits, clock, verified, answered, outcome)
        receipt = await end_intent(
            recorder,
            authority,
            deciding.counters,
            limits,
            intent=warrant.intent,
            action_id=warrant.action_id,
            outcome=outcome,
            opened=opened,
        )
    except Unavailable as failed:
        if broken_off is not None:
            raise broken_off from failed
        # The action may have been performed. Its intent stays open, and settling ends it.
        raise Unavailable(failed.message, code=failed.code, port=failed.port, effect="unknown") from failed
    if outcome.prepared is not None and register is not None:
        outcome = kept(register, limits, clock, verified, answered, outcome, warrant.action_id, receipt)
    if broken_off is not None:
        raise broken_off
    # 10 answer
    return Answer(action_id=warrant.action_id, outcome=outcome, intent=warrant.intent, receipt=receipt)


async def _refused(
    recorder: Recorder,
    planning: Planning,
    deciding: Deciding,
    request: ActionRequest,
    caller: VerifiedCaller,
    no: No,
) -> Refused:
    """Record a refusal of a request, or of what it was verified as."""
    if no.verified is not None:
        request = no.verified.request
    handed = None
    if no.mandate is None:
        handed = handed_on(recorder, planning.authority, planning.verification, request, caller)
    if handed is not None:
        # The caller named no mandate, but its verified chain starts at one.
        no = replace(no, mandate=handed.mandate, hops=handed.hops)
    return await refuse_action(
        recorder, planning.authority, deciding.counters, deciding.policies, request, caller, no
    )


async def _denied(
    recorder: Recorder,
    planning: Planning,
    deciding: Deciding,
    verified: VerifiedRequest,
    decision: Decision,
    *,
    at: UnixMillis,
) -> Refused:
    """Record a deny decision, and void the approvals that the action cannot use any more."""
    refusal = await _refused(
        recorder, planning, deciding, verified.request, verified.caller, no_of(decision, verified)
    )
    approvals, under_way = planning.authority.approvals, deciding.asking.under_way
    await void_denied(recorder, approvals, under_way, verified, decision, at)
    return refusal


async def _asked_people(
    recorder: Recorder,
    planning: Planning,
    deciding: Deciding,
    live: LiveAccess,
    verified: VerifiedRequest,
    decision: Decision,
    *,
    at: UnixMillis,
) -> Approval:
    """Step 5: request approval. The preview for the card takes these same steps as an action of its own."""
    govern = partial(govern_action, recorder, planning, deciding, live)
    preview = partial(preview_effect, recorder, planning, deciding, Governing(gather_facts, govern))
    return await request_approval(
        recorder, planning.authority, deciding, verified, decision, at=at, preview=preview
    )


def gather_facts(
    recorder: Recorder, authority: AuthorityRegisters, deciding: Deciding, verified: VerifiedRequest
) -> Facts:
    """Step 3 without a current plan. Raises as `facts_under`, and Unavailable if revocations cannot be read."""
    judged, accounts = judged_now(authority, verified), accounts_of(verified)
    return facts_under(judged, accounts, recorder, authority, deciding, verified)


def _watched_facts(
    judged: Judged,
    accounts: tuple[Account, ...],
    recorder: Recorder,
    authority: AuthorityRegisters,
    deciding: Deciding,
    verified: VerifiedRequest,
) -> Facts:
    """Step 3, after every stop rule in force has evaluated the attempt. Raises as `facts_under` and `watched`."""
    stop_rules = deciding.counters.stop_rules
    if stop_rules.rules or stop_rules.snapshot is not authority.registry.current:
        gather = partial(facts_under, judged, accounts)
        return watched(gather, gather_facts, recorder, authority, deciding, verified)
    return facts_under(judged, accounts, recorder, authority, deciding, verified)


def facts_under(
    judged: Judged,
    accounts: tuple[Account, ...],
    recorder: Recorder,
    authority: AuthorityRegisters,
    deciding: Deciding,
    verified: VerifiedRequest,
) -> Facts:
    """Step 3: gather the facts in force now, from memory. An unknown fact never gets a default value.

    `judged`, `accounts`: of the plan. Raises Refused: `register.no_room` if the registers cannot be written,
    `ledger.unwitnessed` if witnesses have not cosigned the ledger for longer than is allowed, `revoked.<kind>` if
    something the request acts under has been revoked, `facts.unknown` if a fact that policy may use is not known.
    """
    if judged.revocation is not None:
        raise judged.revocation.refusal()
    unwitnessed = recorder.unwitnessed()
    if unwitnessed is not None:
        raise unwitnessed
    if authority.room is not None and (unwritable := no_room(authority.room)) is not None:
        raise unwritable
    now, mandate = authority.clock.now(), verified.mandate
    used = authority.mandates.calls_used(mandate.id)
    hold = None if judged.free else judged.hold(now)
    waiting = authority.approvals.matching(
        verified.caller.agent, mandate.id, verified.request.action.digest, now
    )
    approved = (
        waiting is not None and waiting.is_about(verified.subject) and waiting.state_at(now) == "approved"
    )
    return Facts(
        at=now,
        registry_digest=authority.registry.current.digest,
        mandate_state=authority.mandates.state(mandate.id),
        mandate_calls_used=used,
        approval=waiting.fact(partial(groups_now, authority, deciding.asking, waiting))
        if waiting is not None and approved
        else None,
        budget=own_calls(mandate.calls_max, used)
        if len(accounts) == 1 and not mandate.budgets
        else budget_left(accounts, authority.mandates.used, verified.resolved.capability),
        history=history_of(deciding.counters.history, verified, now),
        hold=hold.fact() if hold is not None else None,
    )


async def act(
    recorder: Recorder,
    planning: Planning,
    deciding: Deciding,
    live: LiveAccess,
    grounds: Grounds,
    warrant: Warrant,
    progress: Progress | None,
    *,
    left: BaseException | None,
) -> tuple[Outcome, BaseException | None]:
    """Step 7: perform the action. Returns the outcome, and what to raise to the caller once the outcome is on disk.

    `left`: set if the caller has already left. Obligations that come before the effect are fulfilled first: groups are
    notified and witnesses have cosigned. After an upstream failure, a call that a hold cut or a cancelled one, the
    outcome is `indeterminate` if the warrant has been redeemed, otherwise `not_started`. A lease that has ended serves
    no further action.
    """
    if left is not None:
        return Outcome(status="not_started", detail="the caller left before the start"), left
    duties = duties_in_force(grounds.decision)
    if duties is not NO_DUTIES:
        tell_groups(deciding.asking.channel, recorder.clock, grounds.verified, duties.notify, warrant)
        if duties.witnessed:
            unseen, raised = await await_witnesses(recorder.witness, recorder.clock, warrant)
            if unseen is not None:
                return unseen, raised
        if progress is not None and duties.about_answer:
            progress = heard(progress)
    try:
        # No await between this check and the start.
        stopped = why_not_start(recorder.ledger, planning, deciding, grounds)
    except Unavailable as failed:
        # Nothing was started: end the intent, and raise the failure to the caller.
        return Outcome(status="not_started", detail="what has been revoked or is held cannot be told"), failed
    except Broken as failed:
        return Outcome(status="not_started", detail=failed.message), failed
    if stopped:
        return Outcome(status="not_started", detail=stopped), None
    broken_off: BaseException | None = None
    index, task = warrant.intent.index, current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in one
    live.calls[index] = task
    live.opened.ring()
    try:
        outcome = await planning.verification.upstream.perform(warrant, progress=progress)
        if outcome.code == LEASE_ENDED.id and live.leases is not None and warrant.brokered is not None:
            # The broker tells of the end later, above all after a start of its own.
            live.leases.forget(warrant.brokered.terms.name)
        return outcome, None
    except Refused as late:
        detail = late.message
    except get_cancelled_exc_class() as gone:
        hold = live.cut.get(index)
        # Any other cancellation is of the whole task.
        if hold is not None and task.uncancel() <= 0:
            detail = f"the call was cut: {hold.said()}"
        else:
            broken_off, detail = gone, "the caller left before the end"
    except Exception as failed:
        broken_off, detail = failed, f"the way to the upstream broke: {type(failed).__name__}"
    finally:
        del live.calls[index]
        live.cut.pop(index, None)
    return Outcome(status="indeterminate" if warrant.redeemed else "not_started", detail=detail), broken_off
