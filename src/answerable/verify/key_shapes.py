"""What a leaf must say about the keys that people sign with, as types."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.verify.leaf_types import Digest, Leaf, Reference

NamedPeople = Annotated[list[Digest], Meta(min_length=1, max_length=64)]
"""Pseudonyms."""


class PeoplesKeysLeaf(Leaf):
    """Tag 41. registry: digest of the documents. change_ref: the change that it goes on with."""

    people: NamedPeople
    registry: Digest
    change_ref: Reference | UnsetType = UNSET
