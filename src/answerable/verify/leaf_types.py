"""Define the member types that leaves share, and the members of every leaf."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from answerable.core.canonical import INTEGER_MAX

SD_MAX: Final = 64
"""Digests of disclosable fields in one leaf; with one more, no other member would fit."""

Count = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Compared = Annotated[str, Meta(min_length=64, max_length=64)]
FieldDigest = Annotated[str, Meta(min_length=43, max_length=43)]
Amounts = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=64)], Count], Meta(min_length=1, max_length=32)
]
"""Amounts of budgets, by name. Unknown names pass."""
RunId = Annotated[str, Meta(min_length=16, max_length=16)]


class RunPlace(Struct, kw_only=True, gc=False):
    """The position of an entry in its run. prev: leaf hash of the entry before, base64url or, earlier, hex; empty for
    the first."""

    id: RunId
    prev: Annotated[str, Meta(max_length=64)]
    seq: Count


class Reference(Struct, kw_only=True, gc=False):
    """A reference to an entry by index and leaf hash. log: origin of the entry's log, if it is another log."""

    entry: Count
    leaf: Compared
    log: str | UnsetType = UNSET


class Leaf(Struct, kw_only=True, gc=False):
    """Members of every leaf."""

    v: int
    tag: int
    at: Count
    payload: Compared | UnsetType = UNSET
    sd: Annotated[list[FieldDigest], Meta(max_length=SD_MAX)] | UnsetType = msgspec.field(
        name="_sd", default=UNSET
    )
    run: RunPlace | UnsetType = UNSET
