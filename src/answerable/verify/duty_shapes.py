"""What a leaf must say about duty, as types."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from answerable.verify.leaf_types import Count, Leaf, Reference

_Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{22,64}\Z")]


class AnsweredFor(Struct, kw_only=True, gc=False):
    """In whose place an answer was given. of: pseudonym."""

    delegation: _Id
    group: str
    of: str


class EscalatedLeaf(Leaf):
    """Tag 38. people: pseudonyms of those who were told, at most 32; people_count: how many. asks: whom the step names.
    why: empty where it is as the duty says."""

    agent: str
    approval: str
    asks: str
    group: str
    mandate: str
    people: Annotated[list[str], Meta(max_length=32)]
    people_count: Count
    step: Annotated[int, Meta(ge=1, le=64)]
    why: str


class DutyLeaf(Leaf):
    """Tag 39. of: pseudonym of who is stood in for, to: of the deputy, by: of who ended it; because: code of
    what documents took away, by which it ended. strength: of the key.
    keys_ref: where the key file that signed it is named as that of `of`."""

    change: Annotated[str, Meta(pattern=r"^(?:given|ended)\Z")]
    delegation: _Id
    group: str
    of: str
    to: str
    because: str | UnsetType = UNSET
    by: str | UnsetType = UNSET
    keys_ref: Reference | UnsetType = UNSET
    since: Count | UnsetType = UNSET
    strength: Annotated[str, Meta(pattern=r"^(?:any|passkey|hardware)\Z")] | UnsetType = UNSET
    until: Count | UnsetType = UNSET


def duty_name(delegation: str, group: str, of: str, to: str) -> str:
    """What a delegation of duty is referred to as. Nothing of it has a line end."""
    return "\n".join((delegation, group, of, to))
