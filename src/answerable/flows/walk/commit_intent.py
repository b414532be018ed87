"""Step 6 of the walk: commit what an action takes together with its intent, and make the warrant.

Budgets, the approval and the prepared object are taken with the intent or not at all. If the process ends after the
commit, the intent stands, and settlement ends it as `indeterminate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.action.outcome import Outcome
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.name import NAME_BYTES
from answerable.core.ledger import records_actions
from answerable.core.ledger.commit import CommitRequest, Conflict
from answerable.core.ledger.disclosure import Sealing
from answerable.core.ledger.leaves import HopLeaf
from answerable.core.ledger.warrant import Warrant
from answerable.core.mandate.budget import ONE_CALL, Lack, Reserved
from answerable.errors.codes.action import PREPARED_USED
from answerable.errors.codes.approval import APPROVAL_USED
from answerable.errors.codes.mandate import MANDATE_CLOSED
from answerable.flows.counters.count_history import Starting
from answerable.flows.entries.log_outcome import end_intent
from answerable.flows.recording.record_entry import pseudonym_of
from answerable.flows.state.parts import OpenIntent
from answerable.flows.validity.lease_terms import ActionNames, name_action
from answerable.flows.walk.decide_action import duties_in_force
from answerable.flows.walk.spend_budget import budget_spent, with_rest

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.ledger.commit import Ended
    from answerable.core.ledger.entry import Entry, Receipt
    from answerable.core.ledger.leaves import IntentLeaf, References
    from answerable.core.ledger.runs import Run
    from answerable.core.mandate.budget import Amounts
    from answerable.errors import Refused
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
    amounts: Amounts,
) -> tuple[Warrant, OpenIntent, BaseException | None]:
    """Commit the action. Return its warrant, its open intent, and the exception to raise if the caller left meanwhile.

    Nothing is awaited before the intent has its place in the log or in the queue for it. Raises Refused
    (`mandate.closed`, `mandate.budget_spent`, `prepared.used`, `approval.used`), and Unavailable with effect `none`,
    even if the intent was written: without a warrant nothing is performed.
    """
    verified, decision, facts = grounds.verified, grounds.decision, grounds.facts
    accounts = grounds.plan.accounts
    names = (
        ActionNames(recorder.entropy.bytes(NAME_BYTES).hex(), None)
        if verified.resolved.capability.lease is None
        else name_action(authority, leases, recorder.entropy, verified, at=facts.at)
    )
    approval = facts.approval.id if facts.approval is not None else ""
    form = grounds.plan.forms.last
    unusual = approval or names.brokered or verified.prepared or verified.request.preview_of
    usual = amounts is ONE_CALL and not (unusual or decision.wider)
    making = _Making(
        recorder=recorder,
        grounds=grounds,
        references=references,
        names=names,
        approval=approval,
        deadline=UnixMillis(facts.at + limits.intent_ttl_ms),
        reserved=form.reserved
        if usual and form is not None
        else Reserved(accounts=tuple(one.id for one in accounts), amounts=amounts),
        usual=usual,
        authority=authority,
        counters=counters,
        verified=verified,
        at=facts.at,
    )
    request = CommitRequest(
        make=making.intent,
        mandate=verified.mandate.id,
        accounts=accounts,
        reserved=making.reserved,
        approval=approval,
        prepared=verified.prepared.id if verified.prepared is not None else "",
        action=names.action,
        at=facts.at,
        counts=making,
    )
    found = await recorder.intents.commit(request)
    if isinstance(found, Conflict):
        refusal = _refusal(found.why)
        if found.receipt is not None:
            opened = _opened(recorder.open_intents, limits, grounds, request, found.receipt, making.sealing)
            await _end_unstarted(recorder, authority, counters, limits, verified, opened, refusal)
        raise refusal
    opened = _opened(recorder.open_intents, limits, grounds, request, found.receipt, making.sealing)
    warrant = Warrant(
        committed=found,
        action_id=names.action,
        action=verified.request.action,
        server=verified.request.server,
        idempotency_key=names.action,
        lease_name=names.lease if names.brokered is not None else "",
        deadline=making.deadline,
        brokered=names.brokered,
    )
    return warrant, opened, found.left


class _Making(Starting, kw_only=True):
    """Makes the intent of one action, which counts.

    usual: whether intents under its plan differ from it in nothing but the holes of their form, if they were decided
    alike. sealing: of its fields, once it was made.
    """

    grounds: Grounds
    references: References
    names: ActionNames
    approval: str
    deadline: UnixMillis
    reserved: Reserved
    usual: bool
    sealing: Sealing | None = None

    def intent(self, run: Run, call: int) -> Entry:
        """Return the intent for this place in the run. Raises Unavailable."""
        recorder, grounds, names, references = self.recorder, self.grounds, self.names, self.references
        verified, decision, forms = grounds.verified, grounds.decision, grounds.plan.forms
        if self.sealing is None:
            # Only now, so that an action without a budget makes no key for its subject.
            key = recorder.subject_keys.of(verified.subject)
            self.sealing = Sealing(key=key, random=recorder.entropy.bytes)
            self.prepare()
        person, proof = verified.mandate.principal, verified.caller.proof
        principal = recorder.pseudonyms.get(person) or pseudonym_of(recorder, person)
        form = forms.last if self.usual else None
        if form is not None and form.fits(decision, principal, proof):
            return records_actions.usual_intent(
                form.text,
                verified,
                decision,
                at=grounds.facts.at,
                sealing=self.sealing,
                run=run,
                action_id=names.action,
                deadline=self.deadline,
                call=call,
            )
        entry, leaf = records_actions.intent(
            verified,
            decision,
            at=grounds.facts.at,
            sealing=self.sealing,
            run=run,
            principal=principal,
            mandate_ref=references.mandate,
            policy_ref=references.policy_set,
            tool_ref=references.tool,
            action_id=names.action,
            idempotency_key=names.action,
            lease_name=names.lease,
            lease_target=names.lease_target,
            deadline=self.deadline,
            call=call,
            approval_id=self.approval,
            reserved=self.reserved,
            hops=_hops(verified, references),
        )
        if self.usual:
            self._keep(principal, leaf)
        return entry

    def _keep(self, principal: str, leaf: IntentLeaf) -> None:
        """Keep the form of this intent in its plan."""
        decision = self.grounds.decision
        self.grounds.plan.forms.last = records_actions.IntentForm(
            text=records_actions.intent_text(leaf),
            references=self.references,
            reserved=self.reserved,
            principal=principal,
            proof=self.grounds.verified.caller.proof,
            policy_set=decision.policy_set,
            determined_by=decision.determined_by,
            lifted=decision.lifted,
            obligations=decision.obligations,
        )


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


def _hops(verified: VerifiedRequest, references: References) -> list[HopLeaf]:
    return [
        HopLeaf(agent=hop.agent, entry=where.entry, id=hop.jti, leaf=where.leaf)
        for hop, where in zip(verified.hops, references.hops, strict=True)
    ]
