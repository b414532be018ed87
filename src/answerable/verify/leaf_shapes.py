"""Define the required members of each ledger leaf, by tag, as types. Unknown members pass, at the price of a slower
check.

A digest that is compared with a computed digest is not checked for hex digits. Version 2 adds `_sd`, `run` and the
references of an intent, and drops `proof.message` and `result`. Entries since 2026-12-01 leave out what is at its usual
value, and refer to an entry of the same log by its index alone, which the tree binds to one leaf hash.
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
from answerable.verify.finding_shapes import LogFindingLeaf
from answerable.verify.incident_shapes import IncidentLeaf
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
    lifted: list[str] | UnsetType = UNSET
    obligations: Annotated[list[str], Meta(min_length=1, max_length=16)] | UnsetType = UNSET


class Evidenced(Struct, kw_only=True, gc=False):
    """How well the instance behind a caller is attested. drifted: true or absent."""

    drifted: bool | UnsetType = UNSET
    grade: str
    source: str


class CameBy(Struct, kw_only=True, gc=False):
    """A hop of an action, with the entry that records its token. id: its `jti`."""

    agent: str
    entry: Count
    id: str
    leaf: Compared


class TriedBy(Struct, kw_only=True, gc=False):
    """A hop of a refused action; the entry of its token, if any, is not stated."""

    agent: str
    id: str


class GenesisLeaf(Leaf):
    """Tag 1: the log's name and key."""

    key: str
    origin: str


class IntentLeaf(Leaf):
    """Tag 2: an action about to be executed."""

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
    mandate_ref: Count | Reference | UnsetType = UNSET
    manifest: Digest | UnsetType = UNSET
    manifest_fields: dict[str, str] | UnsetType = UNSET
    manifest_grade: str | UnsetType = UNSET
    method: str | UnsetType = UNSET
    narrowed: Annotated[list[str], Meta(min_length=1, max_length=16)] | UnsetType = UNSET
    policy_ref: Count | Reference | UnsetType = UNSET
    preview_of: str | UnsetType = UNSET
    proof: Proven | UnsetType = UNSET
    reserved: Amounts | UnsetType = UNSET
    server: str | UnsetType = UNSET
    tier: Count | UnsetType = UNSET
    tool_ref: Count | Reference | UnsetType = UNSET
    prepared_ref: Reference | UnsetType = UNSET
    use_case: str | UnsetType = UNSET


class EndLeaf(Leaf):
    """Tags 3 and 4: the outcome of an intent, or an indeterminate end."""

    action: str
    intent: Count
    status: str
    intent_leaf: Compared | UnsetType = UNSET
    overrun: Amounts | UnsetType = UNSET
    result: str | UnsetType = UNSET
    returned: Amounts | UnsetType = UNSET
    session: dict[str, str] | UnsetType = UNSET


class RefusalLeaf(Leaf):
    """Tag 5: a refused action."""

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
    """Tag 6: refusals counted, not recorded one by one. strangers: refusals of unauthenticated callers."""

    agents: dict[str, Count]
    strangers: dict[str, Count]


class ApprovalLeaf(Leaf):
    """Tag 7: an approval request."""

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
    """Tag 9: a mandate issued."""

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
    """Tag 10: a mandate closed. mandate_ref: the entry that issued the mandate, possibly in another log. approvals:
    approval requests that the closing denied."""

    mandate: str
    agent: str | UnsetType = UNSET
    by: str | UnsetType = UNSET
    mandate_ref: Reference | UnsetType = UNSET
    approvals: Denied | UnsetType = UNSET
    approvals_count: Count | UnsetType = UNSET


class RecoveryLeaf(Leaf):
    """Tag 13: the log was reopened. tiles_damaged: its tiles did not lead to the signed root and were made again."""

    size: Count
    clean: bool
    cut_bytes: Count
    cut_at: Count | UnsetType = UNSET
    cut_segment: str | UnsetType = UNSET
    sealed: Count | UnsetType = UNSET
    tiles_damaged: bool | UnsetType = UNSET


class CitedLeaf(Leaf):
    """Tag 14: something that other entries cite.

    name: of the mandate, or the digest of the policy set, tool definition, hop or consent. The other members belong to
    a hop or a consent. consent: the consent that the hop was issued for; own: whether the hop was issued for a token of
    its holder's own.
    """

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
    """Tag 20: a gap in the log."""

    origin: str | UnsetType = UNSET
    why: str | UnsetType = UNSET
    covered: Count | UnsetType = UNSET
    size: Count | UnsetType = UNSET


class ShardHeadLeaf(Leaf):
    """Tag 21: the head of a shard. Only the verification of the whole set checks its signature."""

    key: str
    origin: str
    root: Digest
    signature: str
    size: Count


class ManifestLeaf(Leaf):
    """Tag 22. manifest: digest of `form`, the manifest's content. by: pseudonym of the signer; person: of the person
    who submitted it."""

    agent: str
    manifest: Digest
    by: str
    person: str | UnsetType = UNSET
    signed: Count | UnsetType = UNSET
    form: dict[str, str | int] | UnsetType = UNSET
    keys_ref: Reference | UnsetType = UNSET


class EnrolledLeaf(Leaf):
    """Tag 23: a workload enrolled. manifest: its digest. drift: fields that differ. key: thumbprint. Each is empty if
    there is none."""

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
    """Tag 24: an instance ended. by: pseudonym of the operator who ended it."""

    agent: str
    instance: str
    because: str
    by: str | UnsetType = UNSET


class SvidLeaf(Leaf):
    """Tag 25: an SVID issued. serial: of a certificate, or SHA-256 of a token, hex. broker: SPIFFE ID of the workload
    that fetched it for another."""

    instance: str
    serial: str
    kind: Annotated[str, Meta(pattern=r"^(?:x509|jwt|wit)\Z")]
    expires: Count
    key: str
    broker: str | UnsetType = UNSET


class AuthorityLeaf(Leaf):
    """Tag 26: a trust authority changed. certificate: DER, base64url. jwt_key, wit_key: public JWKs. Older entries lack
    these members."""

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
    Tag.LOG_FINDING: LogFindingLeaf,
    Tag.INCIDENT: IncidentLeaf,
}
