"""Build the ledger entries of intents and of their ends, which every action writes.

A leaf that differs from another one in few members is written as a form: text with holes, made once by the encoder and
filled for each entry.

Laws: a filled form is byte for byte what the encoder writes for the same leaf; what is put into a hole needs no
escaping in JSON, or was encoded.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.core.canonical import encode
from answerable.core.ledger.action_fields import decided_fields, is_told_in_question, task_fields
from answerable.core.ledger.decided import decision_leaf, narrowed_kinds
from answerable.core.ledger.disclosure import sealed_fields
from answerable.core.ledger.entry import LEAF_BYTES_MAX, LEAF_VERSION, Entry, entry_of, leaf_too_large
from answerable.core.ledger.leaves import (
    HopLeaf,
    IntentLeaf,
    OutcomeLeaf,
    ProofLeaf,
    Reference,
    encoded_leaf,
    evidence_leaf,
    method_member,
    own_reference,
)
from answerable.core.ledger.mandate_fields import answering_fields
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.budget import ONE_CALL

if TYPE_CHECKING:
    from answerable.core.action.outcome import Outcome
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.decision import Decision
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.disclosure import Field, Sealing
    from answerable.core.ledger.entry import Receipt
    from answerable.core.ledger.leaves import References
    from answerable.core.ledger.runs import Run
    from answerable.core.mandate.budget import Reserved

DETAIL_CHARS_MAX: Final = 500

# No JSON text holds this byte.
_HOLE: Final[Any] = msgspec.Raw(b"\x00")
_encode: Final = msgspec.json.Encoder().encode
_RUN: Final = '{"id":"%s","prev":"%s","seq":%d}'
_INTENT_HOLES: Final = ('["%s"]', '"%s"', "%d", "%d", "%d", '"%s"', '"%s"', "%s", "%d", _RUN)
_IN_INTENT: Final = dict.fromkeys(
    ("sd", "action", "at", "call", "deadline", "digest", "payload", "run"), _HOLE
)
_OUTCOME_HOLES: Final = ('["%s"]', '"%s"', "%d", "%d", '"%s"', _RUN, '"%s"', "%d", "%d")


def _form(leaf: object, *holes: str) -> str:
    first, *rest = _encode(leaf).decode().replace("%", "%%").split("\x00")
    return first + "".join(hole + piece for hole, piece in zip(holes, rest, strict=True))


class IntentForm(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The leaf of usual intents under one plan: those of one call, without approval, lease, prepared object, preview
    and narrowing. They differ from each other in nothing but the holes.

    text: the leaf. reserved: by each of these intents. The other members are what it was made of beside the plan.
    """

    text: str
    references: References
    reserved: Reserved
    principal: str
    proof: str
    policy_set: str
    determined_by: tuple[str, ...]
    lifted: tuple[str, ...]
    obligations: tuple[str, ...]

    def fits(self, decision: Decision, principal: str, proof: str) -> bool:
        """Whether the leaf of a usual intent with this decision and proof has this form."""
        return (
            self.policy_set == decision.policy_set
            and self.determined_by == decision.determined_by
            and self.lifted == decision.lifted
            and self.obligations == decision.obligations
            and self.principal == principal
            and self.proof == proof
        )


class IntentForms(msgspec.Struct):
    """What a plan keeps of the intents under it. last: the form of the last usual one."""

    last: IntentForm | None = None

    def cited(self, policy_set: str) -> References | None:
        """Return what intents under these policies refer to; None where no usual one was made yet."""
        last = self.last
        return last.references if last is not None and last.policy_set == policy_set else None


def intent_text(leaf: IntentLeaf) -> str:
    """Return the text with holes that this leaf of an intent fills."""
    proof = ProofLeaf(binding=_HOLE, kind=leaf.proof.kind, sequence=_HOLE)
    return _form(msgspec.structs.replace(leaf, proof=proof, **_IN_INTENT), *_INTENT_HOLES)


def usual_intent(
    text: str,
    verified: VerifiedRequest,
    decision: Decision,
    *,
    at: UnixMillis,
    sealing: Sealing,
    run: Run,
    action_id: str,
    deadline: UnixMillis,
    call: int,
) -> Entry:
    """As `intent`, for one whose leaf has the form with this text. action_id: in hexadecimal digits."""
    caller = verified.caller
    digests, attachment, digest, payload = _sealed(verified, decision, sealing)
    binding, sd = _encode(caller.binding).decode(), '","'.join(digests)
    holes = (
        sd,
        action_id,
        at,
        call,
        deadline,
        digest,
        payload,
        binding,
        caller.sequence,
        run.id,
        run.prev,
        run.seq,
    )
    leaf = (text % holes).encode()
    if len(leaf) > LEAF_BYTES_MAX:
        raise leaf_too_large(leaf)
    return Entry(tag=Tag.INTENT, leaf=leaf, attachment=attachment)


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
) -> tuple[Entry, IntentLeaf]:
    """Build the intent, which must be durable before the effect, with decision, purpose and claimed reason. Return also
    its leaf. principal: pseudonym. References are to earlier entries. The task is in the question, or in fields of its
    own where that is not sealed as it is."""
    request, mandate, caller = verified.request, verified.mandate, verified.caller
    digests, attachment, digest, payload = _sealed(verified, decision, sealing)
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
        digest=digest,
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
        method=method_member(request.method),
        narrowed=narrowed_kinds(decision),
        payload=payload,
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
    return entry_of(Tag.INTENT, encoded_leaf(leaf), attachment), leaf


def _sealed(
    verified: VerifiedRequest, decision: Decision, sealing: Sealing
) -> tuple[list[str], bytes, str, str]:
    """Seal the fields of an intent. Return their digests, the attachment, the pseudonym of the action and the digest of
    the attachment."""
    fields = decided_fields(verified, decision)
    if len(verified.principals) > 1:
        fields += answering_fields(verified)
    if not is_told_in_question(decision):
        fields += task_fields(verified.mandate)
    digests, attachment = sealed_fields(fields, sealing)
    digest = sealing.key.pseudonym(b"action", verified.request.action.digest)
    return digests, attachment, digest, sha256(attachment).hexdigest()


_ENDED: Final = _form(
    OutcomeLeaf(
        sd=_HOLE,
        action=_HOLE,
        at=_HOLE,
        intent=_HOLE,
        payload=_HOLE,
        run=_HOLE,
        status=_HOLE,
        tag=_HOLE,
        v=_HOLE,
    ),
    *_OUTCOME_HOLES,
)


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

    result_digest: SHA-256 of the whole answer, hex, where `result` is not all of it; else empty. action_id: in
    hexadecimal digits.
    """
    tag = Tag.INDETERMINATE if outcome.status == "indeterminate" else Tag.OUTCOME
    # The text of an upstream may contain anything, lone surrogates included, and is recorded nevertheless.
    fields: list[Field] = []
    if outcome.detail:
        detail = outcome.detail[:DETAIL_CHARS_MAX].encode("utf-8", "replace").decode()
        fields.append((b"detail", encode(detail)))
    if outcome.used is not None:
        fields.append((b"used", encode(outcome.used)))
    if outcome.prepared is not None:
        fields.append((b"prepared", encode(outcome.prepared)))
    if result:
        fields.append((b"result", result))
    if result_digest:
        fields.append((b"result_digest", b'"%b"' % result_digest.encode()))
    # Always write one field: an outcome without a field that can be decrypted is read as one whose fields were erased.
    fields = fields or [(b"detail", b'""')]
    digests, attachment = sealed_fields(fields, sealing)
    payload = sha256(attachment).hexdigest()
    if run is not None and not (outcome.overrun or outcome.returned or outcome.session):
        place = (run.id, run.prev, run.seq)
        sd = '","'.join(digests)
        holes = (sd, action_id, at, intent.index, payload, *place, outcome.status, int(tag), LEAF_VERSION)
        return Entry(tag=tag, leaf=(_ENDED % holes).encode(), attachment=attachment)
    leaf = OutcomeLeaf(
        sd=digests,
        action=action_id,
        at=at,
        intent=intent.index,
        overrun={**outcome.overrun} if outcome.overrun else None,
        payload=payload,
        returned={**outcome.returned} if outcome.returned else None,
        run=run,
        session=dict(sorted(outcome.session.items())) if outcome.session else None,
        status=outcome.status,
        tag=int(tag),
        v=LEAF_VERSION,
    )
    return entry_of(tag, encoded_leaf(leaf), attachment)
