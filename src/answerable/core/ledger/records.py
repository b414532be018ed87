"""What each kind of entry says. Leaves hold metadata; everything a person wrote or a system returned is payload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode
from answerable.core.ledger.entry import LEAF_VERSION, committed, entry_of, sealed_entry
from answerable.core.ledger.leaves import DecisionLeaf, IntentLeaf, OutcomeLeaf, ProofLeaf, encoded_leaf
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.action.outcome import Outcome
    from answerable.core.action.request import ActionRequest, VerifiedRequest
    from answerable.core.approval.approval import Answer, Approval
    from answerable.core.canonical import JSONValue
    from answerable.core.decision.decision import Decision, Reason
    from answerable.core.identity.caller import VerifiedCaller
    from answerable.core.identity.principal import UnixMillis
    from answerable.core.ledger.entry import Entry, Receipt
    from answerable.core.mandate.mandate import Mandate

SOURCES_MAX: Final = 16
SOURCES_CHARS_MAX: Final = 1000
"""Of all names in one list, so that a leaf has room for two such lists."""
DETAIL_CHARS_MAX: Final = 500
REFUSED_ACTION_BYTES_MAX: Final = 8192


def intent(
    verified: VerifiedRequest,
    decision: Decision,
    *,
    at: UnixMillis,
    salt: bytes,
    action_id: str,
    idempotency_key: str,
    lease_name: str,
    deadline: UnixMillis,
    call: int,
    approval_id: str,
) -> Entry:
    """The entry that must be durable before the effect: decision, purpose and claimed reason inside."""
    request, mandate, caller = verified.request, verified.mandate, verified.caller
    attachment, commitment = committed(_action_payload(request, purpose=mandate.purpose), salt=salt)
    leaf = IntentLeaf(
        action=action_id,
        agent=mandate.agent,
        approval=approval_id,
        at=at,
        call=call,
        capability=verified.resolved.capability.name,
        deadline=deadline,
        decision=DecisionLeaf(
            by=_sources(decision.determined_by),
            effect=decision.effect,
            lifted=_sources(decision.lifted),
            policy_set=decision.policy_set,
        ),
        digest=request.action.hex,
        key=idempotency_key,
        lease=lease_name,
        mandate=mandate.id,
        method=request.method,
        payload=commitment,
        principal=mandate.principal,
        proof=ProofLeaf(
            binding=caller.binding,
            kind=caller.proof,
            message=caller.message_digest.hex(),
            sequence=caller.sequence,
        ),
        server=request.server,
        tag=int(Tag.INTENT),
        use_case=mandate.use_case,
        v=LEAF_VERSION,
    )
    return entry_of(Tag.INTENT, encoded_leaf(leaf), attachment)


def outcome(
    outcome: Outcome,
    *,
    at: UnixMillis,
    salt: bytes,
    action_id: str,
    intent: Receipt,
    result: bytes,
    result_digest: str,
) -> Entry:
    """How an intent ended. result: the answer's bytes, or empty when there is none or no room for it."""
    tag = Tag.INDETERMINATE if outcome.status == "indeterminate" else Tag.OUTCOME
    # What an upstream said may be cut out of anything, lone surrogates included, and is written down nevertheless.
    detail = encode(outcome.detail[:DETAIL_CHARS_MAX].encode("utf-8", "replace").decode())
    payload = b'{"detail":' + detail + (b',"result":' + result if result else b"") + b"}"
    attachment, commitment = committed(payload, salt=salt)
    leaf = OutcomeLeaf(
        action=action_id,
        at=at,
        intent=intent.index,
        intent_leaf=intent.leaf_hash.hex(),
        payload=commitment,
        result=result_digest,
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
    salt: bytes,
    action_id: str,
    code: str,
    reasons: tuple[Reason, ...],
    determined_by: tuple[str, ...],
    policy_set: str,
    capability: str,
) -> Entry:
    """An action that was not allowed: nothing was done."""
    fields: dict[str, JSONValue] = {
        "action": action_id,
        "agent": caller.agent,
        "by": [*_sources(determined_by)],
        "capability": capability,
        "code": code,
        "digest": request.action.hex,
        "mandate": request.mandate_id[:64],
        "method": request.method,
        "policy_set": policy_set,
        "proof": _proof(caller),
        "server": request.server,
    }
    texts = encode([reason.text for reason in reasons])
    if len(request.action.bytes) <= REFUSED_ACTION_BYTES_MAX:
        payload = _action_payload(request, reasons=texts)
    else:
        # What was not done is kept by its digest and its beginning: no agent may fill the disk with what it may not do.
        start = request.action.bytes[:REFUSED_ACTION_BYTES_MAX].decode("utf-8", "replace")
        payload = encode(
            {"action_cut": start, "reason": request.reason, "reasons": [r.text for r in reasons]}
        )
    return sealed_entry(Tag.REFUSAL, at=at, fields=fields, salt=salt, payload=payload)


def refusals_counted(*, at: UnixMillis, by_agent: dict[str, int], strangers: dict[str, int]) -> Entry:
    """Refusals that were only counted: past an agent's quota, and of callers who could not be verified, by step.

    Raises Broken (`ledger.leaf_too_large`) for more agents than fit.
    """
    return sealed_entry(
        Tag.REFUSALS_COUNTED,
        at=at,
        fields={"agents": {**by_agent}, "strangers": {**strangers}},
    )


def approval_asked(
    verified: VerifiedRequest, decision: Decision, approval: Approval, *, at: UnixMillis, salt: bytes
) -> Entry:
    """An action was deferred."""
    fields: dict[str, JSONValue] = {
        "agent": approval.agent,
        "approval": approval.id,
        "capability": approval.capability,
        "decision": _decision(decision),
        "digest": approval.action.hex,
        "expires": approval.expires_at,
        "mandate": approval.mandate,
        "principal": approval.principal,
        "proof": _proof(verified.caller),
        "requirements": [[r.group, r.count] for r in approval.requirements[:SOURCES_MAX]],
    }
    payload = _action_payload(
        verified.request, purpose=verified.mandate.purpose, reasons=encode(list(approval.reasons))
    )
    return sealed_entry(Tag.APPROVAL_ASKED, at=at, fields=fields, salt=salt, payload=payload)


def approval_answer(approval: Approval, answer: Answer, *, at: UnixMillis, salt: bytes) -> Entry:
    """A person answered; the signed answer is the payload."""
    fields: dict[str, JSONValue] = {
        "approval": approval.id,
        "digest": approval.action.hex,
        "mandate": approval.mandate,
        "person": answer.by,
        "state": approval.state,
        "verdict": answer.verdict,
    }
    payload = encode({"comment": answer.comment, "token": answer.token})
    return sealed_entry(Tag.APPROVAL_ANSWER, at=at, fields=fields, salt=salt, payload=payload)


def mandate_issued(mandate: Mandate, *, at: UnixMillis, salt: bytes) -> Entry:
    """A signed mandate was registered; the signed token is the payload."""
    fields: dict[str, JSONValue] = {
        "agent": mandate.agent,
        "calls_max": mandate.calls_max,
        "expires": mandate.expires_at,
        "mandate": mandate.id,
        "principal": mandate.principal,
        "use_case": mandate.use_case,
    }
    payload = encode({"purpose": mandate.purpose, "token": mandate.token})
    return sealed_entry(Tag.MANDATE_ISSUED, at=at, fields=fields, salt=salt, payload=payload)


def mandate_closed(mandate: Mandate, *, at: UnixMillis, by: str) -> Entry:
    """A mandate was closed before its end. by: who closed it, as the control door knows them."""
    return sealed_entry(
        Tag.MANDATE_CLOSED, at=at, fields={"agent": mandate.agent, "by": by, "mandate": mandate.id}
    )


def registry_change(
    *, at: UnixMillis, salt: bytes, by: str, before: str, after: str, changes: bytes
) -> Entry:
    """Documents were applied. before, after: registry digests. changes: canonical JSON of the changed documents."""
    fields: dict[str, JSONValue] = {"after": after, "before": before, "by": by}
    return sealed_entry(Tag.REGISTRY_CHANGE, at=at, fields=fields, salt=salt, payload=changes)


def policy_change(*, at: UnixMillis, salt: bytes, by: str, before: str, after: str, policies: str) -> Entry:
    """A policy set came into force; its text is the payload."""
    fields: dict[str, JSONValue] = {"after": after, "before": before, "by": by}
    return sealed_entry(
        Tag.POLICY_CHANGE, at=at, fields=fields, salt=salt, payload=encode({"policies": policies})
    )


def _decision(decision: Decision) -> dict[str, JSONValue]:
    return {
        "by": [*_sources(decision.determined_by)],
        "effect": decision.effect,
        "lifted": [*_sources(decision.lifted)],
        "policy_set": decision.policy_set,
    }


def _sources(names: tuple[str, ...]) -> list[str]:
    """As many of the names, in their order, as a leaf has room for."""
    if len(names) == 1 and len(names[0]) <= SOURCES_CHARS_MAX:
        return [names[0]]
    kept: list[str] = []
    chars = 0
    for name in names[:SOURCES_MAX]:
        chars += len(name)
        if chars > SOURCES_CHARS_MAX:
            break
        kept.append(name)
    return kept


def _proof(caller: VerifiedCaller) -> dict[str, JSONValue]:
    return {
        "binding": caller.binding,
        "kind": caller.proof,
        "message": caller.message_digest.hex(),
        "sequence": caller.sequence,
    }


def _action_payload(request: ActionRequest, *, purpose: str = "", reasons: bytes = b"") -> bytes:
    """Canonical JSON put together from canonical parts (members in sorted order), so that nothing is encoded twice."""
    parts = [b'{"action":', request.action.bytes]
    if purpose:
        parts += [b',"purpose":', encode(purpose)]
    if request.reason:
        parts += [b',"reason":', encode(request.reason)]
    if reasons:
        parts += [b',"reasons":', reasons]
    parts.append(b"}")
    return b"".join(parts)
