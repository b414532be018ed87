"""Step 6 of the walk: commit what an action takes together with its intent, and make the warrant.

Budgets, the approval and the prepared object are taken with the intent or not at all. If the process ends after the
commit, the intent stands, and settlement ends it as `indeterminate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.action.outcome import Outcome
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger import records
from answerable.core.ledger.commit import CommitRequest, Conflict
from answerable.core.ledger.leaves import HopLeaf
from answerable.core.ledger.warrant import Warrant
from answerable.core.mandate.budget import Lack, Reserved
from answerable.errors.codes.action import PREPARED_USED
from answerable.errors.codes.approval import APPROVAL_USED
from answerable.errors.codes.mandate import MANDATE_CLOSED
from answerable.flows.counters.count_history import Starting
from answerable.flows.entries.log_outcome import end_intent
from answerable.flows.recording.record_entry import pseudonym_of, sealing_for
from answerable.flows.state.parts import OpenIntent
from answerable.flows.validity.lease_terms import name_action
from answerable.flows.walk.decide_action import duties_in_force
from answerable.flows.walk.spend_budget import budget_spent, with_rest

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.ledger.commit import Committed, Ended
    from answerable.core.ledger.disclosure import Sealing
    from answerable.core.ledger.entry import Entry, Receipt
    from answerable.core.ledger.runs import Run
    from answerable.core.mandate.budget import Account, Amounts
    from answerable.errors import Refused
    from answerable.flows.entries.cite_statement import References
    from answerable.flows.state.lease_side import LeaseSide
    from answerable.flows.state.parts import AuthorityRegisters, Counters, Recorder
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.flows.validity.lease_terms import ActionNames
    from answerable.flows.walk.last_look import Grounds


async def commit_intent(
    recorder: Recorder,
    authority: AuthorityRegisters,
    counters: Counters,
    leases: LeaseSide | None,
    limits: WalkLimits,
    grounds: Grounds,
    references: References,
    accounts: tuple[Account, ...],
    amounts: Amounts,
) -> tuple[Warrant, OpenIntent, BaseException | None]:
    """Commit the action. Return its warrant, its open intent, and the exception to raise if the caller left meanwhile.

    Nothing is awaited before the intent has its place in the log or in the queue for it. Raises Refused
    (`mandate.closed`, `mandate.budget_spent`, `prepared.used`, `approval.used`), and Unavailable with effect `none`,
    even if the intent was written: without a warrant nothing is performed.
    """
    verified, decision, facts = grounds.verified, grounds.decision, grounds.facts
    names, mandate = (
        name_action(authority, leases, recorder.entropy, verified, at=facts.at),
        verified.mandate,
    )
    deadline = UnixMillis(facts.at + limits.intent_ttl_ms)
    reserved = Reserved(accounts=tuple(one.id for one in accounts), amounts=amounts)
    approval = facts.approval.id if facts.approval is not None else ""
    starting = Starting(recorder, authority, counters, verified, at=facts.at)
    sealing: Sealing | None = None

    def intent(run: Run, call: int) -> Entry:
        nonlocal sealing
        if sealing is None:
            # Only now, so that an action without a budget makes no key for its subject.
            sealing = sealing_for(recorder, verified.subject)
            starting.prepare()
        return records.intent(
            verified,
            decision,
            at=facts.at,
            sealing=sealing,
            run=run,
            principal=pseudonym_of(recorder, mandate.principal),
            mandate_ref=references.mandate,
            policy_ref=references.policy_set,
            tool_ref=references.tool,
            action_id=names.action,
            idempotency_key=names.action,
            lease_name=names.lease,
            lease_target=names.lease_target,
            deadline=deadline,
            call=call,
            approval_id=approval,
            reserved=reserved,
            hops=_hops(verified, references),
        )

    request = CommitRequest(
        make=intent,
        mandate=mandate.id,
        accounts=accounts,
        reserved=reserved,
        approval=approval,
        prepared=verified.prepared.id if verified.prepared is not None else "",
        action=names.action,
        at=facts.at,
        counts=starting,
    )
    found = await recorder.intents.commit(request)
    if isinstance(found, Conflict):
        refusal = _refusal(found.why)
        if found.receipt is not None:
            opened = _opened(recorder.open_intents, limits, grounds, request, found.receipt, sealing)
            await _end_unstarted(recorder, authority, counters, limits, verified, opened, refusal)
        raise refusal
    opened = _opened(recorder.open_intents, limits, grounds, request, found.receipt, sealing)
    return _warrant(found, verified, names, deadline), opened, found.left


def _opened(
    open_intents: dict[int, OpenIntent],
    limits: WalkLimits,
    grounds: Grounds,
    request: CommitRequest,
    receipt: Receipt,
    sealing: Sealing | None,
) -> OpenIntent:
    """Note that the intent of this request is open, until its end is recorded."""
    judged = grounds.plan.judged
    opened = open_intents[receipt.index] = OpenIntent(
        action_id=request.action,
        receipt=receipt,
        due_at=UnixMillis(request.at + limits.intent_ttl_ms + limits.upstream_ms_max),
        reserved=request.reserved,
        mandate=request.mandate,
        sealing=sealing,
        names=judged.names,
        reach=judged.reach,
        log=duties_in_force(grounds.decision).log,
        verified=grounds.verified,
    )
    return opened


async def _end_unstarted(
    recorder: Recorder,
    authority: AuthorityRegisters,
    counters: Counters,
    limits: WalkLimits,
    verified: VerifiedRequest,
    opened: OpenIntent,
    refusal: Refused,
) -> None:
    """End an intent that stands in the log although its action may not start. Raises Unavailable; settlement then
    records this end."""
    outcome = Outcome(status="not_started", detail=refusal.message)
    outcome = with_rest(outcome, opened.reserved, verified, elapsed_ms=0)
    await end_intent(
        recorder,
        authority,
        counters,
        limits,
        intent=opened.receipt,
        action_id=opened.action_id,
        outcome=outcome,
        opened=opened,
    )


def _refusal(why: Lack | Ended) -> Refused:
    """Return the refusal of an action that conflicts with what changed since its decision."""
    if isinstance(why, Lack):
        return budget_spent(why)
    if why == "mandate.closed":
        return MANDATE_CLOSED("the mandate for this task was just closed")
    if why == "prepared.used":
        return PREPARED_USED("the prepared object was just used or has just expired: prepare again")
    return APPROVAL_USED()


def _warrant(
    committed: Committed, verified: VerifiedRequest, names: ActionNames, deadline: UnixMillis
) -> Warrant:
    return Warrant(
        committed=committed,
        action_id=names.action,
        action=verified.request.action,
        server=verified.request.server,
        idempotency_key=names.action,
        lease_name=names.lease,
        deadline=deadline,
        brokered=names.brokered,
    )


def _hops(verified: VerifiedRequest, references: References) -> list[HopLeaf]:
    return [
        HopLeaf(agent=hop.agent, entry=where.entry, id=hop.jti, leaf=where.leaf)
        for hop, where in zip(verified.hops, references.hops, strict=True)
    ]
