"""Define the ledger leaves about escalations and delegations of duty."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from answerable.verify.leaf_types import Count, Leaf, Reference

_Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{22,64}\Z")]


class AnsweredFor(Struct, kw_only=True, gc=False):
    """The person on whose behalf an answer was given. of: pseudonym."""

    delegation: _Id
    group: str
    of: str


class EscalatedLeaf(Leaf):
    """Tag 38: a step of an escalation.

    people: pseudonyms of those who were notified, at most 32; people_count: how many there were. asks: whom the step
    names. why: empty if the step went as the duty defines it.
    """

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
    """Tag 39: a delegation of duty given or ended.

    of: pseudonym of the person who delegates; to: of the deputy; by: of the person who ended it. because: code of the
    registry change that ended it. strength: of the signing key. keys_ref: the entry that names the signing key file as
    that of `of`.
    """

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
    """Return the key by which entries refer to a delegation of duty. None of its parts contains a line break."""
    return "\n".join((delegation, group, of, to))
