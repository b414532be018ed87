"""A mandate as a tree: its hops and the actions under each."""

from __future__ import annotations

from typing import Annotated

from answerable.api.members import Component, Count, Instant, Part, Texts, words


class ActionCounts(Part, frozen=True, kw_only=True):
    """Actions by how they ended."""

    done: Count
    failed: Count
    refused: Count
    unknown: Count
    in_flight: Count


class HopRow(Part, frozen=True, kw_only=True):
    """One hop. narrowed: what it gave less of than what is above it."""

    id: str
    parent: str
    depth: Count
    agent: str
    form: Annotated[str, words("online", "offline")]
    narrowed: Texts
    state: Annotated[str, words("open", "held", "closed", "fallen", "revoked", "expired")]
    because: str
    expires_at: Instant
    revocable_as: str
    actions: ActionCounts


class MandateTree(Component, frozen=True, kw_only=True):
    """A mandate with its hops, each after its parent. hops_count: of all, of which not all may be listed."""

    id: str
    principal: str
    agent: str
    purpose: str
    state: Annotated[str, words("open", "held", "fallen", "closed", "revoked", "expired", "not_yet", "spent")]
    because: str
    expires_at: Instant
    actions: ActionCounts
    hops: tuple[HopRow, ...]
    hops_count: Count
