"""Records about policy sets outside the registry: proposals, former sets, and the shadow set."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

RecordKind = Literal["proposal", "kept", "shadow"]
RECORD_KINDS: Final[tuple[RecordKind, ...]] = ("proposal", "kept", "shadow")
KEPT_MAX: Final = 50
"""Most former sets stored; those in force longest ago are removed. Their content stays in the ledger."""


class PolicyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One record. id: unique in its kind. at: Unix milliseconds. body: JSON of the content."""

    kind: RecordKind
    id: str
    at: int
    body: bytes


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A change of policy sets that awaits its second person.

    documents: canonical JSON of all policy sets as proposed, by `kind/name`. before, after: digests of the sets in
    force and as proposed. token: the author's signed token. key: its signing key. attached: canonical JSON provided by
    the author.
    """

    id: str
    by: str
    key: str
    at: int
    before: str
    after: str
    comment: str
    token: str
    attached: str
    documents: dict[str, str]


class KeptSets(msgspec.Struct, frozen=True, kw_only=True):
    """Policy sets that were in force together. policy_set: the digest that decisions named then. at: the end of that
    time."""

    digest: str
    policy_set: str
    documents: dict[str, str]
