"""What is kept of policy sets beside the registry: proposals, sets that were in force, the set in the shadow."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

RecordKind = Literal["proposal", "kept", "shadow"]
RECORD_KINDS: Final[tuple[RecordKind, ...]] = ("proposal", "kept", "shadow")
KEPT_MAX: Final = 50
"""Sets that stay; the ones that were in force longest ago go. What they were stays in the ledger."""


class PolicyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is kept. id: of its kind. at: Unix milliseconds. body: JSON of what it is."""

    kind: RecordKind
    id: str
    at: int
    body: bytes


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A change of policy sets that waits for its second person.

    documents: canonical JSON of all policy sets as they are to be, by `kind/name`. before, after: their digests.
    token: what the author signed, with which key. attached: canonical JSON, as the author says.
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
    """Policy sets as they were in force together. policy_set: digest that decisions named then. at: until when."""

    digest: str
    policy_set: str
    documents: dict[str, str]
