"""Standing rules that history suggests."""

from __future__ import annotations

from answerable.api.members import Component, Count, Document, Instant, Part, Texts


class SuggestedRule(Part, frozen=True, kw_only=True):
    """A rule that would have let actions run that people approved. document: the policy set to publish; None
    where why_not says why there is none."""

    agent: str
    capability: str
    rule: str
    approved: Count
    people: Count
    waited_ms: Count
    entries: tuple[Count, ...]
    until: Instant
    condition: str
    document: Document | None
    notes: Texts
    why_not: str


class SuggestedRules(Component, frozen=True, kw_only=True):
    """Suggested rules. entries: read of a ledger of this size."""

    rules: tuple[SuggestedRule, ...]
    entries: Count
    size: Count
