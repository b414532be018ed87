"""Leaves about answers to approvals, approvals that are void, and the reviews that broken glasses owe."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.verify.duty_shapes import AnsweredFor
from answerable.verify.leaf_types import Count, Digest, Leaf, Reference

Unsigned = Annotated[str, Meta(pattern=r"^chat\Z")]


class AnswerLeaf(Leaf):
    """Tag 8. duty: for whom it was given, by a delegation of duty that stands at `duty_ref`. keys_ref: where the key
    file that signed it is named as the person's. opened: when this person first had it before them, as the server
    says; absent where it does not know. runs_until: of a broken glass, until when it may run. registry: digest of
    the documents by which a workflow answered. strength: of an answer that nobody signed."""

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
    """Tag 36. late: after it was due. keys_ref: as of an answer. asks: what the tier of the action asked
    for, where that is more than any key."""

    approval: str
    mandate: str
    person: str
    late: bool
    verdict: Annotated[str, Meta(pattern=r"^(?:justified|unjustified)\Z")]
    asks: Annotated[str, Meta(pattern=r"^(?:passkey|hardware)\Z")] | UnsetType = UNSET
    keys_ref: Reference | UnsetType = UNSET


class ApprovalVoidLeaf(Leaf):
    """Tag 40. because: what is not as people were shown it."""

    agent: str
    approval: str
    because: Annotated[list[str], Meta(min_length=1, max_length=32)]
    digest: Digest
    mandate: str
