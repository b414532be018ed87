"""What the process that answers searches is asked about leases: what actions used of their grants."""

from __future__ import annotations

from typing import Final

from answerable.api.lease_use_answers import LeaseTally
from answerable.api.members import AnyObject, Part
from answerable.core.registry.documents.capability import ArgumentMapping
from answerable.ports.search_process import AskedOfOne, OfOne, QuestionKind

LEASE_USE_BYTES_MAX: Final = 16_777_216
"""It has the grants of all capabilities with a lease, of which there may be thousands."""


class LeasedTold(Part, frozen=True, kw_only=True):
    """What is read of a capability with a lease. grants: with their placeholders. template: their digest, hex."""

    name: str
    arguments: tuple[ArgumentMapping, ...]
    grants: AnyObject
    template: str


class LeaseUseQuestion(AskedOfOne, frozen=True, kw_only=True):
    """One question what actions used of leases. start: the first entry that is read; None for the first that may be of
    `since` (Unix milliseconds) or later."""

    capabilities: tuple[LeasedTold, ...]
    since: int = 0
    start: int | None = None


class LeaseUseTold(OfOne, frozen=True, kw_only=True):
    """Use counted in one stretch of a log. start, end: first entry read, and first not read. size: of the log. tallies:
    of this stretch alone, by capability; none for a capability without use."""

    start: int
    end: int
    size: int
    tallies: dict[str, LeaseTally]


LEASE_USE: Final = QuestionKind(
    path="/v1/lease-use", question=LeaseUseQuestion, answer=LeaseUseTold, bytes_max=LEASE_USE_BYTES_MAX
)
