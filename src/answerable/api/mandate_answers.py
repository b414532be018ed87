"""Mandates, and drafts of them."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.api.members import Anchor, AnyObject, Component, Count, Instant, Part, Texts, words


class DraftRequest(Component, frozen=True, kw_only=True):
    """Values for a template. application: which one signs for the principal."""

    principal: str
    parameters: dict[str, str]
    application: str | UnsetType = UNSET


class LeftOut(Part, frozen=True, kw_only=True):
    """What the mandate does not give."""

    capabilities: Texts
    environments: Texts
    beyond: Texts


class Draft(Component, frozen=True, kw_only=True):
    """A mandate to read and to sign. claims: all that came, because a signature covers members that this release does
    not know, too; who signs reads them with `core.mandate.token`."""

    audience: str
    claims: Annotated[AnyObject, Meta(description="what the principal signs, as canonical JSON members")]
    titles: dict[str, str]
    beside: LeftOut
    sentences: Texts
    intent_hash: Anchor
    authority_hash: Anchor
    nonce: Annotated[
        str, Meta(description="what the principal's ID token must carry if an application is to sign")
    ]


class BudgetUse(Part, frozen=True, kw_only=True):
    """How much of a budget is used."""

    used: Count
    limit: Count


class Mandate(Component, frozen=True, kw_only=True):
    """A mandate. because: why it stands so. counted_in: the log of another shard, which alone knows the use of its
    budgets; empty for this one."""

    id: str
    principal: str
    owner: str
    application: str
    agent: str
    use_case: str
    purpose: str
    state: Annotated[str, words("open", "held", "fallen", "closed", "revoked", "expired", "not_yet", "spent")]
    because: str
    counted_in: str
    calls_used: Count
    calls_max: Count
    budgets: dict[str, BudgetUse]
    not_before: Instant
    expires_at: Instant
    sentences: Texts
    intent_hash: Anchor
    authority_hash: Anchor
    token: str
