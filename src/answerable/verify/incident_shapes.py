"""Define the ledger leaf about incidents."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.verify.leaf_types import Count, Leaf, Reference

_Name = Annotated[str, Meta(max_length=200)]
_Class = Annotated[str, Meta(pattern=r"^(?:serious|widespread|death|personal-data)\Z")]


class IncidentLeaf(Leaf):
    """Tag 47. by: pseudonym of the signer. statement: id of the signed statement, also where it was recorded twice.

    Of one that opens an incident: what it is about, the names that it covers by field of a search, hours by duty, and
    from when until when it is looked at, 0 for no end. Of others, opened: the entry that did. told: who was told of the
    incident. answers: entry of the question.
    """

    incident: Annotated[str, Meta(pattern=r"^inc_[A-Za-z0-9_-]{22}\Z")]
    statement: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{22}\Z")]
    change: Annotated[str, Meta(pattern=r"^(?:opened|noted|closed)\Z")]
    by: str
    about: Annotated[str, Meta(pattern=r"^(?:alert|hold|agent|vendor|window)\Z")] | UnsetType = UNSET
    about_name: _Name | UnsetType = UNSET
    answers: Count | UnsetType = UNSET
    classes: Annotated[list[_Class], Meta(min_length=1, max_length=4)] | UnsetType = UNSET
    covers: dict[str, list[str]] | UnsetType = UNSET
    duties: dict[str, Count] | UnsetType = UNSET
    keys_ref: Reference | UnsetType = UNSET
    opened: Count | UnsetType = UNSET
    question: bool | UnsetType = UNSET
    since: Count | UnsetType = UNSET
    told: str | UnsetType = UNSET
    told_at: Count | UnsetType = UNSET
    until: Count | UnsetType = UNSET
