"""Build the ledger entries about refused and deferred actions, and about mandates. Leaves hold metadata; texts by
people and results of systems are sealed fields.

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
    shown_fields,
    task_fields,
)
from answerable.core.ledger.decided import (
    SOURCES_MAX,
    decision_members,
    narrowed_kinds,
    sources,
)
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.leaves import (
    Reference,
    identity_members,
    proof_members,
)
from answerable.core.ledger.mandate_fields import answering_fields, mandate_fields
from answerable.core.ledger.records_keys import key_file_fields, key_file_members
from answerable.core.ledger.records_revocation import denied_members
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.action.request import ActionRequest, VerifiedRequest
    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import JSONValue
    from answerable.core.decision.decision import Decision, Reason
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.ledger.disclosure import Sealing
    from answerable.core.ledger.entry import Entry
    from answerable.core.ledger.records_keys import KeyFile
    from answerable.core.ledger.runs import Run
    from answerable.core.mandate.delegation_chain import Hop
    from answerable.core.mandate.mandate import Mandate

REFUSED_ACTION_BYTES_MAX: Final = 8192


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
