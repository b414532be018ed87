"""What a leaf must say about what was revoked, held and lifted, as types."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.verify.leaf_types import Count, Leaf, Reference

Denied = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(min_length=1, max_length=200)
]
"""Ids of questions that a stop denied; all of them are counted."""


class RevokedLeaf(Leaf):
    """Tag 27. name: of what was ended; of a person the pseudonym. since: when it came into force."""

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
    """Tag 16. name: of what is held; of a person the pseudonym. since: when it came into force. expires_at: 0 for no
    end."""

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
    """Tag 17. agreed: how many have said so, of the wanted. lifted_at: 0 while that is not enough. rule, rule_owner: of
    a hold that a rule placed and that is lifted, of whom that rule counts from nothing again."""

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
    """Tag 32. hold: empty where nothing was held. since: when it was too much. entries: that the number came from."""

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
    """Tag 30. placed: entry of the hold. last: intent of the last action that had ended when the stop came and took
    effect, or may have; -1 for none. ended: how those in flight did. live_until: of what has an end, the last."""

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
