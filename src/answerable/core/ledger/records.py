"""Build the ledger entries about actions, approvals and mandates. Leaves hold metadata; texts by people and results of
systems are sealed fields.

`principal`, `person`, `by` and `digest` are pseudonyms in every leaf; the names are fields. No field has the name of a
member of its leaf, because SD-JWT libraries would refuse it (RFC 9901, section 7.1).
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.action.token_shapes import described, hidden_in
from answerable.core.canonical import encode
from answerable.core.ledger.action_fields import (
    claimed_fields,
    decided_fields,
    internal_fields,
    is_told_in_question,
    shown_fields,
    task_fields,
)
from answerable.core.ledger.decided import (
    SOURCES_MAX,
    decision_leaf,
    decision_members,
    narrowed_kinds,
    sources,
)
from answerable.core.ledger.disclosure import sealed_fields
from answerable.core.ledger.entry import LEAF_VERSION, entry_of, sealed_entry
from answerable.core.ledger.leaves import (
    USUAL_METHOD,
    HopLeaf,
    IntentLeaf,
    OutcomeLeaf,
    ProofLeaf,
    Reference,
    encoded_leaf,
    evidence_leaf,
    identity_members,
    own_reference,
    proof_members,
)
from answerable.core.ledger.mandate_fields import answering_fields, mandate_fields
from answerable.core.ledger.records_keys import key_file_fields, key_file_members
from answerable.core.ledger.records_revocation import denied_members
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.budget import ONE_CALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.action.outcome import Outcome
    from answerable.core.action.request import ActionRequest, VerifiedRequest
    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import JSONValue
    from answerable.core.decision.decision import Decision, Reason
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.ledger.disclosure import Field, Sealing
    from answerable.core.ledger.entry import Entry, Receipt
    from answerable.core.ledger.records_keys import KeyFile
    from answerable.core.ledger.runs import Run
    from answerable.core.mandate.budget import Reserved
    from answerable.core.mandate.delegation_chain import Hop
    from answerable.core.mandate.mandate import Mandate

DETAIL_CHARS_MAX: Final = 500
REFUSED_ACTION_BYTES_MAX: Final = 8192


def intent(
    verified: VerifiedRequest,
    decision: Decision,
    *,
    at: UnixMillis,
    sealing: Sealing,
    run: Run,
    principal: str,
    mandate_ref: Reference,
    policy_ref: Reference,
    tool_ref: Reference,
    action_id: str,
    idempotency_key: str,
    lease_name: str,
    lease_target: str = "",
    deadline: UnixMillis,
    call: int,
    approval_id: str,
    reserved: Reserved,
    hops: list[HopLeaf],
) -> Entry:
    """Build the intent, which must be durable before the effect, with decision, purpose and claimed reason. principal:
    pseudonym. References are to earlier entries. The task is in the question, or in fields of its own where that is not
    sealed as it is."""
    request, mandate, caller = verified.request, verified.mandate, verified.caller
    fields = [*decided_fields(verified, decision), *answering_fields(verified)]
    if not is_told_in_question(decision):
        fields += task_fields(mandate)
    digests, attachment = sealed_fields(fields, sealing)
    leaf = IntentLeaf(
        sd=digests,
        accounts=[*reserved.accounts[1:]] or None,
        action=action_id,
        agent=caller.agent,
        approval=approval_id,
        at=at,
        call=call,
        capability=verified.resolved.capability.name,
        deadline=deadline,
        decision=decision_leaf(decision),
        digest=action_pseudonym(request, sealing),
        evidence=evidence_leaf(caller.identity),
        hops=hops,
        instance=caller.identity.instance,
        key="" if idempotency_key == action_id else idempotency_key,
        lease=lease_name,
        lease_target=lease_target,
        mandate=mandate.id,
        mandate_ref=own_reference(mandate_ref),
        manifest=caller.identity.manifest,
        manifest_fields=dict(caller.identity.manifest_fields) or None,
        manifest_grade=caller.identity.manifest_grade,
        method=USUAL_METHOD if request.method == USUAL_METHOD else request.method,
        narrowed=narrowed_kinds(decision),
        payload=sha256(attachment).hexdigest(),
        policy_ref=own_reference(policy_ref),
        preview_of=request.preview_of,
        prepared_ref=None
        if verified.prepared is None
        else Reference(entry=verified.prepared.entry, leaf=verified.prepared.leaf),
        principal=principal,
        proof=ProofLeaf(binding=caller.binding, kind=caller.proof, sequence=caller.sequence),
        # An intent without amounts reserved one call of the mandate.
        reserved=None if reserved.amounts is ONE_CALL else {**reserved.amounts},
        run=run,
        server=request.server,
        tag=int(Tag.INTENT),
        tier=verified.resolved.capability.tier,
        tool_ref=own_reference(tool_ref),
        use_case=mandate.use_case,
        v=LEAF_VERSION,
    )
    return entry_of(Tag.INTENT, encoded_leaf(leaf), attachment)


def outcome(
    outcome: Outcome,
    *,
    at: UnixMillis,
    sealing: Sealing,
    run: Run | None,
    action_id: str,
    intent: Receipt,
    result: bytes,
    result_digest: str,
) -> Entry:
    """Build the outcome of an intent. result: the answer's bytes, or empty when there is none or it is too long.

    result_digest: SHA-256 of the whole answer, hex, where `result` is not all of it; else empty.
    """
    tag = Tag.INDETERMINATE if outcome.status == "indeterminate" else Tag.OUTCOME
    # The text of an upstream may contain anything, lone surrogates included, and is recorded nevertheless.
    detail = outcome.detail[:DETAIL_CHARS_MAX].encode("utf-8", "replace").decode()
    fields: list[Field] = [(b"detail", encode(detail))] if detail else []
    fields += [(b"used", encode(outcome.used))] if outcome.used is not None else []
    fields += [(b"prepared", encode(outcome.prepared))] if outcome.prepared is not None else []
    fields += [(b"result", result)] if result else []
    if result_digest:
        fields.append((b"result_digest", b'"%b"' % result_digest.encode()))
    # Always write one field: an outcome without a field that can be decrypted is read as one whose fields were erased.
    fields = fields or [(b"detail", b'""')]
    digests, attachment = sealed_fields(fields, sealing)
    leaf = OutcomeLeaf(
        sd=digests,
        action=action_id,
        at=at,
        intent=intent.index,
        overrun={**outcome.overrun} if outcome.overrun else None,
        payload=sha256(attachment).hexdigest(),
        returned={**outcome.returned} if outcome.returned else None,
        run=run,
        session=dict(sorted(outcome.session.items())) if outcome.session else None,
        status=outcome.status,
        tag=int(tag),
        v=LEAF_VERSION,
    )
    return entry_of(tag, encoded_leaf(leaf), attachment)


def refusal(
    request: ActionRequest,
    caller: VerifiedCaller,
    *,
    at: UnixMillis,
    sealing: Sealing,
    run: Run | None,
    mandate: Mandate | None,
    action_id: str,
    code: str,
    reasons: tuple[Reason, ...],
    determined_by: tuple[str, ...],
    policy_set: str,
    capability: str,
    hops: tuple[Hop, ...] = (),
    question: bytes = b"",
    policy_ref: Reference | None = None,
    mandate_ref: Reference | None = None,
    tier: int | None = None,
) -> Entry:
    """Build the entry of an action that was refused: nothing was done. mandate: None when the caller has none of that
    name. tier: of the capability, as its tool raised it; None where the refusal came before it was known.

    hops: the verified delegation chain. question: the policy question, if one was evaluated; the references are to what
    the decision was based on, where that is in the same log.

    Unverified claims of the caller, such as the name of an unknown mandate or server, are not in the leaf.
    """
    members: dict[str, JSONValue] = {
        "action": action_id,
        "agent": caller.agent,
        "by": [*sources(determined_by)],
        "capability": capability,
        "code": code,
        "digest": action_pseudonym(request, sealing),
        "mandate": mandate.id if mandate is not None else "",
        "method": request.method if capability else "",
        "policy_set": policy_set,
        "proof": proof_members(caller),
        "server": request.server if capability else "",
        **({"preview_of": request.preview_of} if request.preview_of else {}),
        **({} if tier is None else {"tier": tier}),
        **({} if mandate is None else {"use_case": mandate.use_case}),
        **identity_members(caller.identity),
    }
    _refer(members, policy_ref=policy_ref, mandate_ref=mandate_ref)
    if hops:
        members["hops"] = [{"agent": hop.agent, "id": hop.jti} for hop in hops]
    # Nothing was done, so nobody needs a credential in this request again, wherever the agent put it.
    said = encode([reason.text for reason in reasons])
    fields = [(b"reasons", hidden_in(said)[0])]
    if mandate is None and request.mandate_id:
        fields.append((b"mandate_named", hidden_in(encode(request.mandate_id))[0]))
    plain, findings = hidden_in(request.action.bytes)
    if findings:
        fields.append((b"hidden", encode(described(findings))))
    claimed = [(name, hidden_in(value)[0]) for name, value in claimed_fields(request, caller)]
    claimed += [(name, hidden_in(value)[0]) for name, value in internal_fields(reasons)]
    if request.asked is not None:
        claimed.append((b"asked_digest", encode(request.asked.hex)))
    if len(plain) <= REFUSED_ACTION_BYTES_MAX:
        fields += [(b"request", plain), *claimed]
    else:
        # Of a refused action that is too large only the digest and beginning are stored, so that no agent can fill the
        # disk.
        start = plain[:REFUSED_ACTION_BYTES_MAX].decode("utf-8", "replace")
        fields += [(b"action_cut", encode(start)), (b"action_digest", encode(request.action.hex)), *claimed]
    if question:
        fields.append(
            (b"question", hidden_in(question)[0])
            if len(question) <= REFUSED_ACTION_BYTES_MAX
            else (b"question_digest", encode(sha256(question).hexdigest()))
        )
    return sealed_entry(Tag.REFUSAL, at=at, members=members, fields=fields, sealing=sealing, run=run)


def refusals_counted(*, at: UnixMillis, by_agent: dict[str, int]) -> Entry:
    """Build the count of refusals past an agent's quota. Refusals of unauthenticated callers, by step, were counted
    here before they had entries of their own (`records_doors`).

    Raises Broken (`ledger.leaf_too_large`) for more agents than fit.
    """
    return sealed_entry(
        Tag.REFUSALS_COUNTED,
        at=at,
        members={"agents": {**by_agent}, "strangers": {}},
    )


def approval_asked(
    verified: VerifiedRequest,
    decision: Decision,
    approval: Approval,
    *,
    at: UnixMillis,
    sealing: Sealing,
    run: Run,
    principal: str,
    policy_ref: Reference | None = None,
    mandate_ref: Reference | None = None,
    commits: str = "",
) -> Entry:
    """Build the entry of a deferred action. principal: pseudonym. The references are to what the decision was based on.
    commits: the commitment to whether it is a test, as in `approval.canary`; empty where no tests are configured."""
    members: dict[str, JSONValue] = {
        "agent": approval.agent,
        "approval": approval.id,
        "capability": approval.capability,
        **({"commitment": commits} if commits else {}),
        "decision": decision_members(decision),
        "digest": action_pseudonym(verified.request, sealing),
        "expires": approval.expires_at,
        "mandate": approval.mandate,
        "principal": principal,
        "proof": proof_members(verified.caller),
        "requirements": [[r.group, r.count] for r in approval.requirements[:SOURCES_MAX]],
        "tier": verified.resolved.capability.tier,
        "use_case": verified.mandate.use_case,
    }
    _refer(members, policy_ref=policy_ref, mandate_ref=mandate_ref)
    if decision.wider is not None:
        members["narrowed"] = [*narrowed_kinds(decision)]
    fields = [
        *decided_fields(verified, decision),
        *task_fields(verified.mandate),
        *shown_fields(decision, approval),
        *answering_fields(verified),
    ]
    return sealed_entry(Tag.APPROVAL_ASKED, at=at, members=members, fields=fields, sealing=sealing, run=run)


def mandate_issued(
    mandate: Mandate,
    *,
    at: UnixMillis,
    sealing: Sealing,
    principal: str,
    audience: str,
    owner: str = "",
    key_file: KeyFile | None = None,
) -> Entry:
    """Build the entry of a registered mandate. principal: pseudonym. owner: the person who answers for the schedule
    that gave it. key_file: the key with which a person signed it; None where a schedule or an application did."""
    members: dict[str, JSONValue] = {
        "agent": mandate.agent,
        **({"budgets": dict(mandate.budgets)} if mandate.budgets else {}),
        "calls_max": mandate.calls_max,
        "expires": mandate.expires_at,
        "mandate": mandate.id,
        "principal": principal,
        "use_case": mandate.use_case,
        **({"application": mandate.application} if mandate.application else {}),
        **key_file_members(key_file),
    }
    fields = [*mandate_fields(mandate, audience=audience, owner=owner), *key_file_fields(key_file)]
    return sealed_entry(Tag.MANDATE_ISSUED, at=at, members=members, fields=fields, sealing=sealing)


def mandate_closed(
    mandate: Mandate,
    *,
    at: UnixMillis,
    sealing: Sealing,
    by: str,
    pseudonym: str,
    mandate_ref: Reference | None = None,
    approvals: Sequence[str] = (),
) -> Entry:
    """Build the entry of a mandate closed before its end. by: who closed it, as authenticated by the control API.
    pseudonym: of `by`.

    mandate_ref: where it was issued, perhaps in the log of another shard; None where unknown. approvals: ids of the
    pending approvals that this denies.
    """
    members: dict[str, JSONValue] = {
        "agent": mandate.agent,
        "by": pseudonym,
        "mandate": mandate.id,
        **denied_members(approvals),
    }
    if mandate_ref is not None:
        log: dict[str, JSONValue] = {"log": mandate_ref.log} if mandate_ref.log else {}
        members["mandate_ref"] = {"entry": mandate_ref.entry, "leaf": mandate_ref.leaf, **log}
    fields = [(b"by_name", encode(by))]
    return sealed_entry(Tag.MANDATE_CLOSED, at=at, members=members, fields=fields, sealing=sealing)


def action_pseudonym(request: ActionRequest, sealing: Sealing) -> str:
    """Return the pseudonym that a leaf contains in place of the action digest: equal for equal actions of one subject,
    hex."""
    return sealing.key.pseudonym(b"action", request.action.digest)


def _refer(members: dict[str, JSONValue], **references: Reference | None) -> None:
    for name, one in references.items():
        if one is not None:
            members[name] = {"entry": one.entry, "leaf": one.leaf}
