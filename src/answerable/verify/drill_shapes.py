"""Define the ledger leaf of a drill."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from answerable.verify.leaf_types import Count, Digest, Leaf


class DrillLeaf(Leaf):
    """Tag 31. of, name: the subject of the drill. by: pseudonym of the person who ran it. took_ms: milliseconds, by the
    event waited for."""

    drill: str
    kind: Annotated[str, Meta(pattern=r"^(?:stop|revocation|trace)\Z")]
    of: Annotated[str, Meta(pattern=r"^(?:agent|capability)\Z")]
    name: str
    definition: Digest
    shadow: str
    by: str
    passed: bool
    faults: list[str]
    took_ms: dict[str, Count]
    actions: Count
