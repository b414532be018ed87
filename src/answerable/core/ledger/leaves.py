"""The typed leaves of intents and outcomes, which every action writes; typed for fast encoding without validation.

Laws: members are in canonical order and hold only text, booleans and integers below 2**53, so that the encoder's bytes
are RFC 8785; a test compares them with `encode_ledger`.
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
    """The decision on an action. lifted, obligations: absent where there are none."""

    by: list[str]
    effect: str
    lifted: list[str] = []
    obligations: list[str] = []
    policy_set: str


class ProofLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How the agent proved its identity."""

    binding: str
    kind: str
    sequence: int


class Reference(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A reference to an earlier entry. leaf: its leaf hash, hex. log: origin of its log; empty for the log of the
    reference itself."""

    entry: int
    leaf: str
    log: str = ""


class References(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """References to the statements that an intent depends on in this log."""

    mandate: Reference
    policy_set: Reference
    tool: Reference
    hops: tuple[Reference, ...] = ()


USUAL_METHOD: Final = "tools/call"
"""An intent with this very object as `method` has no such member: the encoder compares defaults by identity."""


def method_member(method: str) -> str:
    """Return the method of an intent, as that very object if it is the usual one. Only here it surely is: a compiled
    module has constants of its own."""
    return USUAL_METHOD if method == USUAL_METHOD else method


class EvidenceLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """How well the running instance is known. drifted: it differs from its agent's manifest; absent when not."""

    drifted: bool = False
    grade: str
    source: str


HOPS_MAX: Final = 17
"""Maximum for one action, including the root: the depth to which a mandate can be delegated
(`documents.DELEGATION_DEPTH_MAX`)."""
HOP_ID_CHARS_MAX: Final = 64


class HopLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A delegation hop of an action, and the entry that records its token. id: its `jti`."""

    agent: str
    entry: int
    id: str
    leaf: str


class IntentLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Leaf of Tag.INTENT. approval: the one it uses; absent where none. key: idempotency key sent upstream; absent
    where equal to `action`. lease, lease_target: its name, and where it may be live; absent where no broker acts.
    method: absent for `USUAL_METHOD`. In earlier entries (`docs/reference/wire/ledger.md`) all but `lease_target` are
    always present, empty or equal.

    mandate_ref, policy_ref, tool_ref: as `own_reference` returns them.

    evidence, instance, manifest: absent where nothing is known beyond the proof.

    manifest_fields: measured fields that match, each with its grade; absent where nothing was measured, and in entries
    from before grades were recorded: all other fields are only claimed. manifest_grade: of the whole; absent without a
    manifest, and in such older entries. hops: the delegation chain of the mandate, root first; absent where the agent
    is the mandate's own. narrowed: kinds of the obligations that turned the requested action, which is a sealed field,
    into this one; absent where the request was not changed. preview_of: the approval for whose card the gateway, not
    the agent, called; absent otherwise. reserved: amounts by budget, sorted by name; absent for one call. accounts:
    further accounts, beside the mandate, of the reservation; absent where none. prepared_ref: the outcome that prepared
    the executed object; absent where none.
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
    mandate_ref: int | Reference
    manifest: str = ""
    manifest_fields: dict[str, str] | None = None
    manifest_grade: str = ""
    method: str = USUAL_METHOD
    narrowed: list[str] = []
    payload: str
    policy_ref: int | Reference
    prepared_ref: Reference | None = None
    preview_of: str = ""
    principal: str
    proof: ProofLeaf
    reserved: dict[str, int] | None = None
    run: Run
    server: str
    tag: int
    tier: int | None = None
    tool_ref: int | Reference
    use_case: str
    v: int


class OutcomeLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Leaf of Tag.OUTCOME and Tag.INDETERMINATE. intent: index of its intent, in this log. run: None for the end of an
    intent from before the log was last opened.

    returned: reserved amounts that were not used; overrun: amounts used beyond the reservation. Both absent where zero.
    session: the target's name of the broker's session; absent where no broker acted, or the target has none.
    """

    sd: list[str] = msgspec.field(name="_sd")
    action: str
    at: int
    intent: int
    overrun: dict[str, int] | None = None
    payload: str
    returned: dict[str, int] | None = None
    run: Run | None = None
    session: dict[str, str] | None = None
    status: str
    tag: int
    v: int


_ENCODER: Final = msgspec.json.Encoder()


def own_reference(reference: Reference) -> int | Reference:
    """Return the short form of a reference: to an entry of the same log its index alone, because the tree binds each
    index to one leaf hash."""
    return reference if reference.log else reference.entry


def encoded_leaf(leaf: IntentLeaf | OutcomeLeaf) -> bytes:
    """Return the canonical bytes of a typed leaf."""
    return _ENCODER.encode(leaf)


def evidence_leaf(identity: CallerIdentity) -> EvidenceLeaf | None:
    """Return the evidence; None for a caller of whom only the proving key is known."""
    if identity is UNKNOWN_IDENTITY or (
        not identity.instance and identity.source == "registered_key" and not identity.drifted
    ):
        return None
    return EvidenceLeaf(drifted=identity.drifted, grade=identity.grade, source=identity.source)


def identity_members(identity: CallerIdentity) -> dict[str, JSONValue]:
    """Return the members about the running instance, as an intent has them, for an untyped leaf."""
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
    """Return how the agent proved its identity, as an intent has it, for an untyped leaf."""
    return {"binding": caller.binding, "kind": caller.proof, "sequence": caller.sequence}
