"""Leaves about changes of registry documents and policy sets, and about what was proposed of them."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.verify.key_shapes import NamedPeople
from answerable.verify.leaf_types import Count, Digest, Leaf, Reference


class ChangeLeaf(Leaf):
    """Tags 11 and 12. people: pseudonyms of those whose keys it changes, people_more: how many more
    the entries after it name."""

    before: str
    after: str
    by: str | UnsetType = UNSET
    because: str | UnsetType = UNSET
    policy_set: Digest | UnsetType = UNSET
    undrilled: list[str] | UnsetType = UNSET
    undrilled_count: Count | UnsetType = UNSET
    workflows: list[str] | UnsetType = UNSET
    people: NamedPeople | UnsetType = UNSET
    people_more: Count | UnsetType = UNSET
    documents: Digest | UnsetType = UNSET
    how: Annotated[str, Meta(pattern=r"^(?:one_person|two_people|rollback|registry)\Z")] | UnsetType = UNSET
    author: str | UnsetType = UNSET
    proposal: str | UnsetType = UNSET
    keys_ref: Reference | UnsetType = UNSET


class ProposedLeaf(Leaf):
    """Tag 29. before, after: digests of the documents. author: pseudonym."""

    after: Digest
    author: str
    before: Digest
    proposal: str
    keys_ref: Reference | UnsetType = UNSET


class WithdrawnLeaf(Leaf):
    """Tag 44. by: pseudonym."""

    by: str
    proposal: str
