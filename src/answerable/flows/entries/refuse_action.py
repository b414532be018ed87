"""Record that an action was refused, and return the error for the caller."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from answerable.core.decision.decision import Reason
from answerable.core.ledger import records
from answerable.core.ledger.subject import agent_subject, principal_subject
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Refused, Unavailable
from answerable.errors.codes.policy import POLICY_UNEXPLAINED
from answerable.flows.counters.count_history import count_denied
from answerable.flows.counters.watch_rules import Denying
from answerable.flows.entries.cite_statement import UNDER_NOTHING, decided_under
from answerable.flows.recording.record_entry import record_entry, sealing_for
from answerable.flows.revocation.hold_flooding import hold_flooding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.action.request import ActionRequest, VerifiedRequest
    from answerable.core.decision.decision import Decision
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.ledger.entry import Entry, Receipt
    from answerable.core.ledger.runs import Run
    from answerable.core.mandate.delegation_chain import Hop
    from answerable.core.mandate.mandate import Mandate
    from answerable.flows.state.parts import AuthorityRegisters, Counters, Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.ports.mandate_register import MandateRegister


@dataclass(frozen=True, slots=True, kw_only=True)
class No:
    """A refusal to record. code is stable; reasons: at least one; determined_by names policies or rules.

    capability, mandate, hops: as far as verified before the refusal. verified: the request, if all of it was verified.
    question: the policy input, evaluated with the set of digest policy_set; empty where policy was not evaluated.
    denial: people's answer, if people denied the action.
    """

    code: str
    reasons: tuple[Reason, ...]
    determined_by: tuple[str, ...] = ()
    capability: str = ""
    mandate: Mandate | None = None
    hops: tuple[Hop, ...] = ()
    question: bytes = b""
    policy_set: str = ""
    verified: VerifiedRequest | None = None
    denial: Mapping[str, object] | None = None


def no_from(refused: Refused, verified: VerifiedRequest | None) -> No:
    """Return the record of a refusal by one of the product's own rules."""
    reasons = tuple(Reason(source=refused.code, text=text) for text in refused.reasons)
    no = No(code=refused.code, reasons=reasons, determined_by=(refused.code,), denial=refused.denial)
    return _about(no, verified) if verified is not None else no


def no_of(decision: Decision, verified: VerifiedRequest) -> No:
    """Return the record of a deny decision."""
    reasons = decision.reasons or (Reason(source=POLICY_UNEXPLAINED.id, text="policy gave no reason"),)
    no = No(
        code=reasons[0].source,
        reasons=reasons,
        determined_by=decision.determined_by,
        question=decision.question,
        policy_set=decision.policy_set,
    )
    return _about(no, verified)


def _about(no: No, verified: VerifiedRequest) -> No:
    return replace(
        no,
        capability=verified.resolved.capability.name,
        mandate=verified.mandate,
        hops=verified.hops,
        verified=verified,
    )


async def refuse_action(
    recorder: Recorder,
    authority: AuthorityRegisters,
    counters: Counters,
    policies: PolicyState,
    request: ActionRequest,
    caller: VerifiedCaller,
    no: No,
) -> Refused:
    """Record the refusal durably, within the agent's quota, and return the error to raise.

    Past the quota, the refusal is counted and gets no entry of its own (`entry_index` None). A caller who leaves is
    recorded anyway. Raises Unavailable when the ledger accepts nothing: the action is not done in that case either, and
    its refusal is counted.
    """
    now = recorder.clock.now()
    index: int | None = None
    mandate = _tried_under(authority.mandates, request, caller, no)
    denying = Denying(
        recorder,
        authority,
        counters,
        request,
        caller,
        at=now,
        code=no.code,
        determined_by=no.determined_by,
        mandate=mandate,
        hops=no.hops,
        verified=no.verified,
    )

    def placed(receipt: Receipt) -> None:
        nonlocal index
        index = receipt.index
        count_denied(counters.history, no.verified, at=now, index=index)
        denying.placed(index)

    under = mandate.id if mandate is not None and mandate.agent == caller.agent else ""
    if counters.quota.take(caller.agent, now, under):
        try:
            _, left = await _recorded(
                recorder, policies, request, caller, no, now, mandate, placed, denying.waits
            )
        except Unavailable as failed:
            counters.quota.lost(caller.agent)
            if index is None:
                count_denied(counters.history, no.verified, at=now, index=None)
                denying.placed(None)
            raise Unavailable(failed.message, code=failed.code, port=failed.port) from failed
        if left is not None:
            raise left
    else:
        count_denied(counters.history, no.verified, at=now, index=None)
        denying.placed(None)
        denying.flooded()
    await hold_flooding(recorder, authority, counters, caller.agent, now)
    texts = tuple(reason.text for reason in no.reasons)
    return Refused(
        f"not allowed: {texts[0]}", code=no.code, reasons=texts, entry_index=index, denial=no.denial
    )


def _tried_under(
    mandates: MandateRegister, request: ActionRequest, caller: VerifiedCaller, no: No
) -> Mandate | None:
    """Return the mandate that the action was tried under, if it is the caller's."""
    if no.mandate is not None or not request.mandate_id:
        return no.mandate
    named = mandates.find(MandateId(request.mandate_id))
    return named if named is not None and named.agent == caller.agent else None


async def _recorded(
    recorder: Recorder,
    policies: PolicyState,
    request: ActionRequest,
    caller: VerifiedCaller,
    no: No,
    now: UnixMillis,
    mandate: Mandate | None,
    placed: Callable[[Receipt], None],
    waits: Callable[[], None],
) -> tuple[Receipt, BaseException | None]:
    """Record the refusal, in the run of `mandate` if there is one."""
    subject = principal_subject(mandate.principal) if mandate is not None else agent_subject(caller.agent)
    sealing, action_id = sealing_for(recorder, subject), recorder.entropy.token()
    policy_set, under = no.policy_set or policies.decision_point.policy_set, UNDER_NOTHING
    if no.question and no.mandate is not None:
        under = decided_under(recorder.cited, no.mandate, policy_set)

    def entry(run: Run | None) -> Entry:
        return records.refusal(
            request,
            caller,
            at=now,
            sealing=sealing,
            run=run,
            mandate=mandate,
            action_id=action_id,
            code=no.code,
            reasons=no.reasons,
            determined_by=no.determined_by,
            policy_set=policy_set,
            capability=no.capability,
            hops=no.hops,
            question=no.question,
            policy_ref=under.policy_set,
            mandate_ref=under.mandate,
            tier=no.verified.resolved.capability.tier if no.verified is not None else None,
        )

    if mandate is not None:
        return await recorder.intents.record(mandate.id, entry, waits=waits, then=placed)
    return await record_entry(recorder, entry(None), waits=waits, then=placed)
