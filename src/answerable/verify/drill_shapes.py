"""What the leaf of a drill has to say."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from answerable.verify.leaf_types import Count, Digest, Leaf


class DrillLeaf(Leaf):
    """Tag 31. of, name: what was drilled. by: pseudonym of who ran it. took_ms: milliseconds by what was waited for."""

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
