"""Define the ledger leaves for answers to approvals, void approvals and reviews of break-glass answers."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.verify.duty_shapes import AnsweredFor
from answerable.verify.leaf_types import Count, Digest, Leaf, Reference

Unsigned = Annotated[str, Meta(pattern=r"^chat\Z")]


class AnswerLeaf(Leaf):
    """Tag 8: an answer to an approval.

    duty: the delegation of duty under which the person answered for somebody else; `duty_ref` is the entry that records
    it. keys_ref: the entry that names the signing key file as this person's. opened: when this person first opened the
    approval, as the server reports; absent if the server does not know. runs_until: for a break-glass answer, the end
    of its validity. registry: digest of the registry documents under which a workflow answered. strength: present only
    for an answer that nobody signed.
    """

    approval: str
    person: str
    verdict: str
    digest: Digest | UnsetType = UNSET
    duty: AnsweredFor | UnsetType = UNSET
    duty_ref: Reference | UnsetType = UNSET
    keys_ref: Reference | UnsetType = UNSET
    mandate: str | UnsetType = UNSET
    opened: Count | UnsetType = UNSET
    registry: Digest | UnsetType = UNSET
    state: str | UnsetType = UNSET
    strength: Unsigned | UnsetType = UNSET
    workflow: str | UnsetType = UNSET
    runs_until: Count | UnsetType = UNSET


class GlassReviewedLeaf(Leaf):
    """Tag 36: a review of a break-glass answer. late: whether the review came after its due time. keys_ref: as in
    `AnswerLeaf`. asks: the strength of signature that the action's tier requires, if that is more than any key."""

    approval: str
    mandate: str
    person: str
    late: bool
    verdict: Annotated[str, Meta(pattern=r"^(?:justified|unjustified)\Z")]
    asks: Annotated[str, Meta(pattern=r"^(?:passkey|hardware)\Z")] | UnsetType = UNSET
    keys_ref: Reference | UnsetType = UNSET


class ApprovalVoidLeaf(Leaf):
    """Tag 40: an approval that is void. because: names of the parts that no longer match what people were shown."""

    agent: str
    approval: str
    because: Annotated[list[str], Meta(min_length=1, max_length=32)]
    digest: Digest
    mandate: str
