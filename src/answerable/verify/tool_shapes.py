"""What a leaf must say about the definitions of tools, as types."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.verify.leaf_types import Count, Digest, Leaf, Reference


class ToolPinnedLeaf(Leaf):
    """Tag 28. definition, previous: digests; previous empty where nothing was in force. by: pseudonym of who signed it,
    person: of who handed it in; both absent at first sight."""

    server: str
    tool: str
    definition: Digest
    previous: Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{64})?\Z")]
    source: Annotated[str, Meta(pattern=r"^(?:owner|first_sight)\Z")]
    by: str | UnsetType = UNSET
    person: str | UnsetType = UNSET
    signed: Count | UnsetType = UNSET
    keys_ref: Reference | UnsetType = UNSET
