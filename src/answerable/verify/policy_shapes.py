"""Define the ledger leaves about changes and proposals of registry documents and policy sets."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.verify.key_shapes import NamedPeople
from answerable.verify.leaf_types import Count, Digest, Leaf, Reference


class ChangeLeaf(Leaf):
    """Tags 11 and 12: a change of the registry or of a policy set. people: pseudonyms of those whose keys the change
    affects; people_more: how many more the following entries name."""

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
    """Tag 29: a policy set proposed. before, after: digests of the documents. author: pseudonym."""

    after: Digest
    author: str
    before: Digest
    proposal: str
    keys_ref: Reference | UnsetType = UNSET


class WithdrawnLeaf(Leaf):
    """Tag 44: a proposal withdrawn. by: pseudonym."""

    by: str
    proposal: str
