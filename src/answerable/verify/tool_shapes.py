"""Define the ledger leaf about tool definitions."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.verify.leaf_types import Count, Digest, Leaf, Reference


class ToolPinnedLeaf(Leaf):
    """Tag 28. definition, previous: digests; previous is empty if no definition was in force. by: pseudonym of the
    signer, person: of the person who submitted it; both absent for a definition pinned at first sight."""

    server: str
    tool: str
    definition: Digest
    previous: Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{64})?\Z")]
    source: Annotated[str, Meta(pattern=r"^(?:owner|first_sight)\Z")]
    by: str | UnsetType = UNSET
    person: str | UnsetType = UNSET
    signed: Count | UnsetType = UNSET
    keys_ref: Reference | UnsetType = UNSET
