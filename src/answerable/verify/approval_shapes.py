"""What a leaf must say about approvals that are void, as types."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from answerable.verify.leaf_types import Digest, Leaf


class ApprovalVoidLeaf(Leaf):
    """Tag 40. because: what is not as people were shown it."""

    agent: str
    approval: str
    because: Annotated[list[str], Meta(min_length=1, max_length=32)]
    digest: Digest
    mandate: str
