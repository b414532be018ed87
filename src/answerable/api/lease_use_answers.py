"""What leases grant and what of it was used. Times are Unix milliseconds, 0 for none."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import UNSET, Meta, UnsetType

from answerable.api.members import Component, Count, Digest, Document, Part, Texts
from answerable.core.lease.use import UNTOLD
from answerable.core.registry.documents.lease_template import LeaseWindow

UntoldCounts: TypeAlias = Annotated[
    dict[str, Count],
    Meta(
        extra_json_schema={
            "properties": {why: {"type": "integer", "minimum": 0} for why in UNTOLD},
            "required": [],
            "additionalProperties": False,
        }
    ),
]
"""Actions whose use is not known, by why; in the order in which they were met."""


class GrantedRight(Part, frozen=True, kw_only=True):
    """One right that a lease grants."""

    place: str
    text: str
    is_told: bool
    group: str


class LeaseRights(Component, frozen=True, kw_only=True):
    """What the lease of a capability grants. fault: why it cannot be said; empty where it can."""

    capability: str
    target: str
    window: LeaseWindow
    template: Digest
    rights: tuple[GrantedRight, ...]
    fault: str


class LeaseUseRequest(Component, frozen=True, kw_only=True):
    """Which part of the ledger to read."""

    since: str | UnsetType = UNSET
    start: str | UnsetType = UNSET
    log: str | UnsetType = UNSET


class RightUse(Part, frozen=True, kw_only=True):
    """How often a right was used."""

    sure: Count
    unsure: Count
    last_at: Count


class LeaseTally(Part, frozen=True, kw_only=True):
    """What actions used of one lease."""

    told: Count
    untold: UntoldCounts
    elsewise: Count
    failed: Count
    unended: Count
    first_at: Count
    last_at: Count
    rights: dict[str, RightUse]


class LeaseUsePage(Component, frozen=True, kw_only=True):
    """One page of counted use."""

    start: Count
    end: Count
    size: Count
    more: bool
    tallies: dict[str, LeaseTally]
    templates: dict[str, Digest]
    others: Texts


class LeaseNarrowRequest(Component, frozen=True, kw_only=True):
    """Which rights to keep."""

    capability: str
    template: Digest
    kept: Texts


class LeaseNarrowed(Component, frozen=True, kw_only=True):
    """The document with fewer rights; None where nothing is left."""

    document: Document | None


class LeaseRightsRequest(Component, frozen=True, kw_only=True):
    """Documents to look at."""

    documents: tuple[Document, ...]


class DocumentLease(Part, frozen=True, kw_only=True):
    """What the lease in one document grants."""

    capability: str
    target: str
    rights: tuple[GrantedRight, ...]


class DocumentRights(Component, frozen=True, kw_only=True):
    """What the leases in documents grant."""

    leases: tuple[DocumentLease, ...]
