"""Leaves about answers to approvals, and about the reviews that broken glasses owe."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.verify.leaf_types import Digest, Leaf


class AnswerLeaf(Leaf):
    """Tag 8."""

    approval: str
    person: str
    verdict: str
    digest: Digest | UnsetType = UNSET
    mandate: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    workflow: str | UnsetType = UNSET


class GlassReviewedLeaf(Leaf):
    """Tag 36. late: after it was due."""

    approval: str
    mandate: str
    person: str
    late: bool
    verdict: Annotated[str, Meta(pattern=r"^(?:justified|unjustified)\Z")]
