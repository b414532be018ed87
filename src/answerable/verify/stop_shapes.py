"""Define the ledger leaves about revocations, holds, lifts and fired rules."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.verify.leaf_types import Count, Leaf, Reference

Denied = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(min_length=1, max_length=200)
]
"""Ids of the approval requests that a stop denied. The leaf counts all of them."""


class RevokedLeaf(Leaf):
    """Tag 27. name: of the revoked subject; for a person, the pseudonym. since: when it came into force."""

    kind: Annotated[
        str, Meta(pattern=r"^(?:token|hop|mandate|agent|key|manifest|owner|vendor|trust_domain)\Z")
    ]
    name: str
    by: str
    since: Count
    in_flight: list[Count]
    in_flight_count: Count
    approvals: Denied | UnsetType = UNSET
    approvals_count: Count | UnsetType = UNSET


class HoldPlacedLeaf(Leaf):
    """Tag 16. name: of the held subject; for a person, the pseudonym. since: when it came into force. expires_at: 0 for
    no end."""

    hold: Annotated[str, Meta(pattern=r"^hold_[A-Za-z0-9_-]{22}\Z")]
    kind: str
    name: str
    by: str
    source: Annotated[str, Meta(pattern=r"^(?:person|rule|panic|drill|agent)\Z")]
    rule: str
    since: Count
    expires_at: Count
    in_flight: list[Count]
    in_flight_count: Count
    approvals: Denied | UnsetType = UNSET
    approvals_count: Count | UnsetType = UNSET


class HoldLiftedLeaf(Leaf):
    """Tag 17. agreed: number of people who have agreed, of the wanted. lifted_at: 0 while there are too few. rule,
    rule_owner: for a lifted hold that a rule had placed, the rule and the owner whose count restarts from zero."""

    hold: Annotated[str, Meta(pattern=r"^hold_[A-Za-z0-9_-]{22}\Z")]
    kind: str
    name: str
    by: str
    key: str
    agreed: Count
    wanted: Count
    lifted_at: Count
    rule: str | UnsetType = UNSET
    rule_owner: str | UnsetType = UNSET
    keys_ref: Reference | UnsetType = UNSET


class RuleFiredLeaf(Leaf):
    """Tag 32. hold: empty if nothing was held. since: when the limit was exceeded. entries: the entries that were
    counted."""

    rule: str
    watches: str
    over: str
    owner: str
    counted: list[str]
    value: Count
    limit: Count
    within: Count
    fired: Annotated[str, Meta(pattern=r"^(?:held|would_hold|warned)\Z")]
    kind: str
    name: str
    hold: Annotated[str, Meta(pattern=r"^(?:hold_[A-Za-z0-9_-]{22})?\Z")]
    since: Count
    entries: list[Count]


class ContainmentReportLeaf(Leaf):
    """Tag 30. placed: entry of the hold. last: intent of the last action that had ended when the stop took hold, and
    that had or may have had an effect; -1 for none; last_log: its log, if another. in_flight: intents in this log;
    in_flight_elsewhere: in others, by log. ended: how the actions in flight ended, counted; running: those without an
    end. not_asked: logs that nothing here covers; empty name for all others. live_until: latest expiry."""

    hold: Annotated[str, Meta(pattern=r"^hold_[A-Za-z0-9_-]{22}\Z")]
    kind: str
    name: str
    placed: Count
    last: Annotated[int, Meta(ge=-1)]
    last_at: Count
    in_flight: list[Count]
    in_flight_count: Count
    ended: dict[str, Count]
    after: Count
    approvals: Count
    instances: Count
    mandates: Count
    live: Count
    live_until: Count
    undoing: dict[str, Count]
    in_flight_elsewhere: dict[str, list[Count]] | UnsetType = UNSET
    last_log: str | UnsetType = UNSET
    not_asked: list[str] | UnsetType = UNSET
    running: Count | UnsetType = UNSET
