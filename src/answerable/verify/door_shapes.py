"""Define the ledger leaf for messages that listeners refused."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.verify.leaf_types import Count, Leaf


class DoorRefusalLeaf(Leaf):
    """Tag 45. agent: the authenticated sender, if known. door: the listener. others: whether it sums many senders that
    were not counted separately."""

    code: str
    count: Count
    door: str
    first: Count
    last: Count
    agent: str | UnsetType = UNSET
    key: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}\Z")] | UnsetType = UNSET
    others: bool | UnsetType = UNSET
