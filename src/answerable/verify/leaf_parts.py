"""What leaves of several types say in the same way: how they were proved, decided, measured and handed on, as types."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from answerable.verify.leaf_types import Compared, Count


class Proven(Struct, kw_only=True, gc=False):
    """How the caller proved possession of its key."""

    binding: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    sequence: Count | UnsetType = UNSET


class Decided(Struct, kw_only=True, gc=False):
    """The decision inside an intent."""

    effect: str
    policy_set: str
    by: list[str]
    lifted: list[str]
    obligations: Annotated[list[str], Meta(min_length=1, max_length=16)] | UnsetType = UNSET


class Evidenced(Struct, kw_only=True, gc=False):
    """How well the instance behind a caller is known. drifted: true or absent."""

    drifted: bool | UnsetType = UNSET
    grade: str
    source: str


class CameBy(Struct, kw_only=True, gc=False):
    """A hop that an action came by, with the entry in which its token stands. id: its `jti`."""

    agent: str
    entry: Count
    id: str
    leaf: Compared


class TriedBy(Struct, kw_only=True, gc=False):
    """A hop that a refused action came by; where its token stands, if anywhere, is not said."""

    agent: str
    id: str
