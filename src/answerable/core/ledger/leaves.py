"""The two leaves that every action writes, typed so that they are encoded without being vetted first.

Laws: members stand in canonical order and hold text, truth and integers below 2**53 only, so that the encoder's bytes
are RFC 8785 as they come; a test holds them against `encode_ledger`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.identity.workload.evidence import UNKNOWN_IDENTITY
from answerable.core.ledger.runs import Run

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.identity.workload.evidence import CallerIdentity


class DecisionLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """How it was decided. obligations: kinds of those that it is under; absent where there are none."""

    by: list[str]
    effect: str
    lifted: list[str]
    obligations: list[str] = []
    policy_set: str


class ProofLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How the agent proved itself."""

    binding: str
    kind: str
    sequence: int


class Reference(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """An earlier entry. leaf: its leaf hash, hex. log: origin of its log; empty for that of the reference itself."""

    entry: int
    leaf: str
    log: str = ""


class EvidenceLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """How well the running instance is known. drifted: it differs from its agent's manifest; absent when not."""

    drifted: bool = False
    grade: str
    source: str


HOPS_MAX: Final = 17
"""Of one action, the root among them, as deep as a mandate can be handed on (`delegability.DEPTH_MAX`)."""
HOP_ID_CHARS_MAX: Final = 64


class HopLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A hop that an action came by, and the entry in which its token was written down, once. id: its `jti`."""

    agent: str
    entry: int
    id: str
    leaf: str


class IntentLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Leaf of Tag.INTENT. approval: that it uses; absent where none. key: under which the upstream tells attempts
    apart; absent where that is `action`. lease, lease_target: its name, and where it may be live; absent where no
    broker acts. In entries from before 2026-12-01 the first three are there always, empty or the same.

    evidence, instance, manifest: absent where nothing is known beyond the proof.

    manifest_fields: what was measured of it and matches, each with its grade; absent where nothing was, and in entries
    from before it was told: all else that it says is claimed. manifest_grade: of the whole; absent without one, and in
    entries from before it was told. hops: by which the
    mandate was handed on, root first; absent where the agent is the mandate's own. narrowed: kinds of the obligations
    under which another action, which is a sealed field, became this one; absent where it is the one that was asked for.
    preview_of: the approval for whose card the gateway asked this, and not the agent; absent where the agent did.
    reserved: amounts by budget, in order of name; absent for one call. accounts: where they were reserved beside the
    mandate; absent where nowhere else. prepared_ref: the outcome of what prepared the object that is executed; absent
    where none is.
    """

    sd: list[str] = msgspec.field(name="_sd")
    accounts: list[str] | None = None
    action: str
    agent: str
    approval: str = ""
    at: int
    call: int
    capability: str
    deadline: int
    decision: DecisionLeaf
    digest: str
    evidence: EvidenceLeaf | None = None
    hops: list[HopLeaf] = []
    instance: str = ""
    key: str = ""
    lease: str = ""
    lease_target: str = ""
    mandate: str
    mandate_ref: Reference
    manifest: str = ""
    manifest_fields: dict[str, str] | None = None
    manifest_grade: str = ""
    method: str
    narrowed: list[str] = []
    payload: str
    policy_ref: Reference
    prepared_ref: Reference | None = None
    preview_of: str = ""
    principal: str
    proof: ProofLeaf
    reserved: dict[str, int] | None = None
    run: Run
    server: str
    tag: int
    tier: int | None = None
    tool_ref: Reference
    use_case: str
    v: int


class OutcomeLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Leaf of Tag.OUTCOME and Tag.INDETERMINATE. run: None for the end of an intent of an earlier opening.

    returned: of what the intent reserved, what was not used; overrun: what was used beyond. Both absent where nothing.
    session: what a broker's target calls the session; absent where no broker acted, or the target has none.
    """

    sd: list[str] = msgspec.field(name="_sd")
    action: str
    at: int
    intent: int
    intent_leaf: str
    overrun: dict[str, int] | None = None
    payload: str
    returned: dict[str, int] | None = None
    run: Run | None = None
    session: dict[str, str] | None = None
    status: str
    tag: int
    v: int


_ENCODER: Final = msgspec.json.Encoder()


def encoded_leaf(leaf: IntentLeaf | OutcomeLeaf) -> bytes:
    """The canonical bytes of a typed leaf."""
    return _ENCODER.encode(leaf)


def evidence_leaf(identity: CallerIdentity) -> EvidenceLeaf | None:
    """None for a caller of whom no more is known than the key that proves it."""
    if identity is UNKNOWN_IDENTITY or (
        not identity.instance and identity.source == "registered_key" and not identity.drifted
    ):
        return None
    return EvidenceLeaf(drifted=identity.drifted, grade=identity.grade, source=identity.source)


def identity_members(identity: CallerIdentity) -> dict[str, JSONValue]:
    """The members about the running instance, as an intent has them, for a leaf that is not typed."""
    members: dict[str, JSONValue] = {}
    evidence = evidence_leaf(identity)
    if evidence is not None:
        drifted: dict[str, JSONValue] = {"drifted": True} if evidence.drifted else {}
        members["evidence"] = {**drifted, "grade": evidence.grade, "source": evidence.source}
    if identity.instance:
        members["instance"] = identity.instance
    if identity.manifest:
        members["manifest"] = identity.manifest
        if identity.manifest_fields:
            members["manifest_fields"] = dict(identity.manifest_fields)
        if identity.manifest_grade:
            members["manifest_grade"] = identity.manifest_grade
    return members


def proof_members(caller: VerifiedCaller) -> dict[str, JSONValue]:
    """How the agent proved itself, as an intent has it, for a leaf that is not typed."""
    return {"binding": caller.binding, "kind": caller.proof, "sequence": caller.sequence}
