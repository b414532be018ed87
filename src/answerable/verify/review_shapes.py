"""Leaves about broken glasses."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from answerable.verify.leaf_types import Leaf


class GlassReviewedLeaf(Leaf):
    """Tag 36. late: after it was due."""

    approval: str
    mandate: str
    person: str
    late: bool
    verdict: Annotated[str, Meta(pattern=r"^(?:justified|unjustified)\Z")]
