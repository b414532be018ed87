"""What leaves are made of, as types, and what all of them have."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from answerable.core.canonical import INTEGER_MAX

SD_MAX: Final = 64
"""Digests of disclosable fields in one leaf; one more would not fit with anything else."""

Count = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Compared = Annotated[str, Meta(min_length=64, max_length=64)]
FieldDigest = Annotated[str, Meta(min_length=43, max_length=43)]
Amounts = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=64)], Count], Meta(min_length=1, max_length=32)
]
"""Of budgets, by name. Names that this program does not know are let pass."""
RunId = Annotated[str, Meta(min_length=16, max_length=16)]


class RunPlace(Struct, kw_only=True, gc=False):
    """The place of an entry in its run. prev: leaf hash of the one before, empty for the first."""

    id: RunId
    prev: Annotated[str, Meta(max_length=64)]
    seq: Count


class Reference(Struct, kw_only=True, gc=False):
    """Another entry by index and leaf hash. log: its origin where it is in another log."""

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
