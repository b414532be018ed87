"""What a search answers."""

from __future__ import annotations

from answerable.api.members import Component, Count, Instant, Part, Texts


class SearchHit(Part, frozen=True, kw_only=True):
    """One entry that matches: an action with its outcome, a refusal, or anything else. Members that do not apply are
    empty or None; person: the name where it can be decrypted, else the pseudonym."""

    entry: Count
    at: Instant
    kind: str
    text: str
    outcome: str
    ended: Count | None
    ended_at: Instant | None
    action: str
    agent: str
    instance: str
    person: str
    mandate: str
    use_case: str
    capability: str
    server: str
    target: str
    resource: str
    destinations: Texts
    amount: int | None
    rules: Texts
    code: str
    approval: str
    lease: str
    hold: str
    session: dict[str, str]


class SearchAnswer(Component, frozen=True, kw_only=True):
    """The hits of a search, newest first. next: cursor of the page after this; empty for none.

    log: the origin of the log that was searched. entries, complete_at: the answer is complete up to this number of its
    entries, and the time of the last of them; None for an empty ledger. missing: how many later entries it has that
    could not be searched yet. happened: False where nothing has been recorded yet that could be found.
    """

    items: tuple[SearchHit, ...]
    next: str
    log: str
    entries: Count
    missing: Count
    complete_at: Instant | None
    happened: bool
