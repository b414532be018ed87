"""Define the ledger leaf that names the keys people sign with."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.verify.leaf_types import Digest, Leaf, Reference

NamedPeople = Annotated[list[Digest], Meta(min_length=1, max_length=64)]
"""People's pseudonyms."""


class PeoplesKeysLeaf(Leaf):
    """Tag 41. registry: digest of the registry documents. change_ref: the change that this entry continues."""

    people: NamedPeople
    registry: Digest
    change_ref: Reference | UnsetType = UNSET
