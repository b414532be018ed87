"""What a leaf must say, by tag, as types. Additional members are let pass, at the price of a slower look.

A digest that is compared with a computed one needs no look at its digits. Version 2 adds `_sd`, `run` and the
references of an intent, and leaves out `proof.message` and `result`.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from answerable.core.ledger.tags import Tag
from answerable.verify.answer_shapes import AnswerLeaf, ApprovalVoidLeaf, GlassReviewedLeaf
from answerable.verify.canary_shapes import CanaryToldLeaf
from answerable.verify.door_shapes import DoorRefusalLeaf
from answerable.verify.drill_shapes import DrillLeaf
from answerable.verify.duty_shapes import DutyLeaf, EscalatedLeaf
from answerable.verify.key_shapes import PeoplesKeysLeaf
from answerable.verify.leaf_types import (
    Amounts,
    Compared,
    Count,
    Digest,
    Leaf,
    Reference,
)
from answerable.verify.lease_shapes import LeaseLeaf
from answerable.verify.passkey_shapes import PasskeyLeaf, PasskeyRemovedLeaf
from answerable.verify.policy_shapes import ChangeLeaf, ProposedLeaf, WithdrawnLeaf
from answerable.verify.stop_shapes import (
    ContainmentReportLeaf,
    Denied,
    HoldLiftedLeaf,
    HoldPlacedLeaf,
    RevokedLeaf,
    RuleFiredLeaf,
)
from answerable.verify.stream_shapes import EventStreamLeaf
from answerable.verify.tool_shapes import ToolPinnedLeaf


class Proven(Struct, kw_only=True, gc=False):
    """How the caller proved possession of its key."""

    binding: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    sequence: Count | UnsetType = UNSET


class Decided(Struct, kw_only=True, gc=False):
    """The decision inside an intent."""

    effect: str
    policy_set: str
    by: list[str]
    lifted: list[str]
    obligations: Annotated[list[str], Meta(min_length=1, max_length=16)] | UnsetType = UNSET


class Evidenced(Struct, kw_only=True, gc=False):
    """How well the instance behind a caller is known. drifted: true or absent."""

    drifted: bool | UnsetType = UNSET
    grade: str
    source: str


class CameBy(Struct, kw_only=True, gc=False):
    """A hop that an action came by, with the entry in which its token stands. id: its `jti`."""

    agent: str
    entry: Count
    id: str
    leaf: Compared


class TriedBy(Struct, kw_only=True, gc=False):
    """A hop that a refused action came by; where its token stands, if anywhere, is not said."""

    agent: str
    id: str


class GenesisLeaf(Leaf):
    """Tag 1."""

    key: str
    origin: str


class IntentLeaf(Leaf):
    """Tag 2."""

    action: str
    agent: str
    principal: str
    mandate: str
    digest: Digest
    decision: Decided
    deadline: Count
    accounts: Annotated[list[str], Meta(min_length=1, max_length=33)] | UnsetType = UNSET
    approval: str | UnsetType = UNSET
    call: Count | UnsetType = UNSET
    capability: str | UnsetType = UNSET
    evidence: Evidenced | UnsetType = UNSET
    hops: Annotated[list[CameBy], Meta(min_length=1, max_length=17)] | UnsetType = UNSET
    instance: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    lease: str | UnsetType = UNSET
    lease_target: str | UnsetType = UNSET
    mandate_ref: Reference | UnsetType = UNSET
    manifest: Digest | UnsetType = UNSET
    manifest_fields: dict[str, str] | UnsetType = UNSET
    manifest_grade: str | UnsetType = UNSET
    method: str | UnsetType = UNSET
    narrowed: Annotated[list[str], Meta(min_length=1, max_length=16)] | UnsetType = UNSET
    policy_ref: Reference | UnsetType = UNSET
    preview_of: str | UnsetType = UNSET
    proof: Proven | UnsetType = UNSET
    reserved: Amounts | UnsetType = UNSET
    server: str | UnsetType = UNSET
    tier: Count | UnsetType = UNSET
    tool_ref: Reference | UnsetType = UNSET
    prepared_ref: Reference | UnsetType = UNSET
    use_case: str | UnsetType = UNSET


class EndLeaf(Leaf):
    """Tags 3 and 4."""

    action: str
    intent: Count
    intent_leaf: Compared
    status: str
    overrun: Amounts | UnsetType = UNSET
    result: str | UnsetType = UNSET
    returned: Amounts | UnsetType = UNSET
    session: dict[str, str] | UnsetType = UNSET


class RefusalLeaf(Leaf):
    """Tag 5."""

    action: str
    agent: str
    by: list[str] | UnsetType = UNSET
    capability: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    digest: Digest | UnsetType = UNSET
    evidence: Evidenced | UnsetType = UNSET
    hops: Annotated[list[TriedBy], Meta(min_length=1, max_length=17)] | UnsetType = UNSET
    instance: str | UnsetType = UNSET
    mandate: str | UnsetType = UNSET
    mandate_ref: Reference | UnsetType = UNSET
    manifest: Digest | UnsetType = UNSET
    manifest_fields: dict[str, str] | UnsetType = UNSET
    manifest_grade: str | UnsetType = UNSET
    method: str | UnsetType = UNSET
    policy_ref: Reference | UnsetType = UNSET
    policy_set: str | UnsetType = UNSET
    preview_of: str | UnsetType = UNSET
    proof: Proven | UnsetType = UNSET
    server: str | UnsetType = UNSET
    tier: Count | UnsetType = UNSET
    use_case: str | UnsetType = UNSET


class RefusalsCountedLeaf(Leaf):
    """Tag 6."""

    agents: dict[str, Count]
    strangers: dict[str, Count]


class ApprovalLeaf(Leaf):
    """Tag 7."""

    approval: str
    agent: str
    mandate: str
    digest: Digest
    capability: str | UnsetType = UNSET
    commitment: Digest | UnsetType = UNSET
    decision: Decided | UnsetType = UNSET
    expires: Count | UnsetType = UNSET
    mandate_ref: Reference | UnsetType = UNSET
    policy_ref: Reference | UnsetType = UNSET
    narrowed: Annotated[list[str], Meta(min_length=1, max_length=16)] | UnsetType = UNSET
    principal: str | UnsetType = UNSET
    proof: Proven | UnsetType = UNSET
    requirements: list[tuple[str, Count]] | UnsetType = UNSET
    tier: Count | UnsetType = UNSET
    use_case: str | UnsetType = UNSET


class MandateLeaf(Leaf):
    """Tag 9."""

    mandate: str
    agent: str
    principal: str
    budgets: Amounts | UnsetType = UNSET
    calls_max: Count | UnsetType = UNSET
    expires: Count | UnsetType = UNSET
    use_case: str | UnsetType = UNSET
    application: str | UnsetType = UNSET
    keys_ref: Reference | UnsetType = UNSET


class MandateClosedLeaf(Leaf):
    """Tag 10. mandate_ref: where the mandate was issued, perhaps in another log. approvals: questions denied by it."""

    mandate: str
    agent: str | UnsetType = UNSET
    by: str | UnsetType = UNSET
    mandate_ref: Reference | UnsetType = UNSET
    approvals: Denied | UnsetType = UNSET
    approvals_count: Count | UnsetType = UNSET


class RecoveryLeaf(Leaf):
    """Tag 13."""

    size: Count
    clean: bool
    cut_bytes: Count
    cut_at: Count | UnsetType = UNSET
    cut_segment: str | UnsetType = UNSET
    sealed: Count | UnsetType = UNSET


class CitedLeaf(Leaf):
    """Tag 14. name: of the mandate, or the digest of the policy set, tool definition, hop or consent. The rest is of a
    hop or a consent. consent: of what it was issued for; own: that it was issued for a token of its holder's own."""

    kind: str
    name: str
    principal: str | UnsetType = UNSET
    agent: str | UnsetType = UNSET
    consent: Reference | UnsetType = UNSET
    depth: Count | UnsetType = UNSET
    expires: Count | UnsetType = UNSET
    form: str | UnsetType = UNSET
    hop: str | UnsetType = UNSET
    mandate: str | UnsetType = UNSET
    manifest: Digest | UnsetType = UNSET
    own: bool | UnsetType = UNSET
    parent: str | UnsetType = UNSET


class GapLeaf(Leaf):
    """Tag 20."""

    origin: str | UnsetType = UNSET
    why: str | UnsetType = UNSET
    covered: Count | UnsetType = UNSET
    size: Count | UnsetType = UNSET


class ShardHeadLeaf(Leaf):
    """Tag 21. Whether its signature is that of the shard is for who verifies the whole set."""

    key: str
    origin: str
    root: Digest
    signature: str
    size: Count


class ManifestLeaf(Leaf):
    """Tag 22. manifest: its digest. by: pseudonym of who signed it, person: of who handed it in. form: what it says, of
    which `manifest` is the digest."""

    agent: str
    manifest: Digest
    by: str
    person: str | UnsetType = UNSET
    signed: Count | UnsetType = UNSET
    form: dict[str, str | int] | UnsetType = UNSET
    keys_ref: Reference | UnsetType = UNSET


class EnrolledLeaf(Leaf):
    """Tag 23. manifest: its digest. drift: fields that differ. key: thumbprint. Empty where there is none."""

    agent: str
    instance: str
    source: str
    grade: str
    manifest: Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{64})?\Z")]
    drift: list[str]
    key: str
    parent: str
    expires: Count
    manifest_fields: dict[str, str] | UnsetType = UNSET
    manifest_grade: str | UnsetType = UNSET
    join_token: Digest | UnsetType = UNSET


class EndedLeaf(Leaf):
    """Tag 24. by: pseudonym of the operator who ended it."""

    agent: str
    instance: str
    because: str
    by: str | UnsetType = UNSET


class SvidLeaf(Leaf):
    """Tag 25. serial: of a certificate, or SHA-256 of a token, hex. broker: SPIFFE ID of who fetched it for another."""

    instance: str
    serial: str
    kind: Annotated[str, Meta(pattern=r"^(?:x509|jwt|wit)\Z")]
    expires: Count
    key: str
    broker: str | UnsetType = UNSET


class AuthorityLeaf(Leaf):
    """Tag 26. certificate: DER, base64url. jwt_key, wit_key: public JWKs. Entries from before these were told have
    none."""

    domain: str
    authority: str
    state: str
    sequence: Count
    certificate: str | UnsetType = UNSET
    jwt_key: str | UnsetType = UNSET
    not_after: Count | UnsetType = UNSET
    not_before: Count | UnsetType = UNSET
    wit_key: str | UnsetType = UNSET


SHAPES: Final[dict[int, type[Leaf]]] = {
    Tag.GENESIS: GenesisLeaf,
    Tag.INTENT: IntentLeaf,
    Tag.OUTCOME: EndLeaf,
    Tag.INDETERMINATE: EndLeaf,
    Tag.REFUSAL: RefusalLeaf,
    Tag.REFUSALS_COUNTED: RefusalsCountedLeaf,
    Tag.DOOR_REFUSAL: DoorRefusalLeaf,
    Tag.APPROVAL_ASKED: ApprovalLeaf,
    Tag.APPROVAL_ANSWER: AnswerLeaf,
    Tag.MANDATE_ISSUED: MandateLeaf,
    Tag.MANDATE_CLOSED: MandateClosedLeaf,
    Tag.REGISTRY_CHANGE: ChangeLeaf,
    Tag.POLICY_CHANGE: ChangeLeaf,
    Tag.RECOVERY: RecoveryLeaf,
    Tag.CITED: CitedLeaf,
    Tag.GAP: GapLeaf,
    Tag.SHARD_HEAD: ShardHeadLeaf,
    Tag.MANIFEST_REGISTERED: ManifestLeaf,
    Tag.WORKLOAD_ENROLLED: EnrolledLeaf,
    Tag.WORKLOAD_ENDED: EndedLeaf,
    Tag.SVID_ISSUED: SvidLeaf,
    Tag.AUTHORITY_CHANGED: AuthorityLeaf,
    Tag.HOLD_PLACED: HoldPlacedLeaf,
    Tag.HOLD_LIFTED: HoldLiftedLeaf,
    Tag.RULE_FIRED: RuleFiredLeaf,
    Tag.CONTAINMENT_REPORT: ContainmentReportLeaf,
    Tag.REVOKED: RevokedLeaf,
    Tag.TOOL_PINNED: ToolPinnedLeaf,
    Tag.POLICY_PROPOSED: ProposedLeaf,
    Tag.POLICY_WITHDRAWN: WithdrawnLeaf,
    Tag.DRILL: DrillLeaf,
    Tag.LEASE: LeaseLeaf,
    Tag.PASSKEY: PasskeyLeaf,
    Tag.PASSKEY_REMOVED: PasskeyRemovedLeaf,
    Tag.GLASS_REVIEWED: GlassReviewedLeaf,
    Tag.APPROVAL_ESCALATED: EscalatedLeaf,
    Tag.DUTY: DutyLeaf,
    Tag.APPROVAL_VOID: ApprovalVoidLeaf,
    Tag.CANARY_TOLD: CanaryToldLeaf,
    Tag.PEOPLES_KEYS: PeoplesKeysLeaf,
    Tag.EVENT_STREAM: EventStreamLeaf,
}
