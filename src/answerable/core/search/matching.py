"""Decide whether an entry, with what other entries add to it, meets a search."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.search.facts import OF_APPROVAL, OF_LEASE
from answerable.core.search.fields import BY_NAME
from answerable.core.search.query import Term

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from answerable.core.search.facts import Ended, Facts
    from answerable.core.search.query import Query

NAMED_AS_PEOPLE = frozenset({"person", "approver"})
"""Fields whose value is a person's name or pseudonym."""
_IN_LEAVES: Final = {
    **dict.fromkeys(NAMED_AS_PEOPLE, re.compile("[0-9a-f]{64}")),
    "subject": re.compile("[0-9a-f]{32}"),
}
"""How a value of a field is written that leaves have in clear: a pseudonym, or the id of a key."""


class Joined(NamedTuple):
    """An entry with what others add. approvers: pseudonyms of people who answered its approval. accounts: of its
    lease."""

    facts: Facts
    ended: Ended | None = None
    approvers: Iterable[str] = ()
    accounts: Iterable[str] = ()

    @property
    def outcome(self) -> str:
        """How the action ended, as far as known; empty for an entry about no action."""
        return self.ended.outcome if self.ended is not None else self.facts.one("outcome")

    def values(self, field: str) -> Iterable[str]:
        """Return the values of a field, those from sealed fields included."""
        if field == "outcome":
            return (self.outcome,) if self.outcome else ()
        if field == "approver":
            return self.approvers if self.facts.tag in OF_APPROVAL else ()
        if field == "session":
            session = self.ended.session if self.ended is not None else ()
            return tuple(text for kind, value in session for text in (value, f"{kind}:{value}"))
        found = (*self.facts.names.get(field, ()), *self.facts.sealed.get(field, ()))
        is_leased = field == "account" and self.facts.tag in OF_LEASE
        return (*found, *self.accounts) if is_leased else found


def matches(query: Query, joined: Joined) -> bool:
    """Whether the entry meets all of the search. The values of the search are as `resolved` returns them."""
    at = joined.facts.at
    if query.since is not None and at < query.since:
        return False
    if query.until is not None and at >= query.until:
        return False
    if not all(one.holds(joined.facts.amount) for one in query.amounts):
        return False
    return all(not set(term.values).isdisjoint(joined.values(term.field)) for term in query.terms)


def sealed_fields(query: Query) -> tuple[str, ...]:
    """Return the fields of a search, in its order, of which some values can be compared only with the subject keys. In
    an answer without keys these are not compared, and that nothing is found says nothing of them."""
    found = [one.field for one in query.terms if any(_is_sealed(one.field, each) for each in one.values)]
    return tuple(dict.fromkeys((*found, *("amount" for _ in query.amounts))))


def _is_sealed(field: str, value: str) -> bool:
    in_leaves = _IN_LEAVES.get(field)
    if in_leaves is not None:
        return in_leaves.fullmatch(value) is None
    return BY_NAME[field].indexed in ("sealed", "both", "words")


def resolved(
    query: Query, *, pseudonyms: Callable[[str], Iterable[str]], subject: Callable[[str], str]
) -> Query:
    """Return the search with names of people replaced by themselves and their pseudonyms, and names of data subjects by
    themselves and the id of their key. subject: returns an empty text for one without a key."""

    def more(term: Term) -> Term:
        if term.field in NAMED_AS_PEOPLE:
            found = [one for value in term.values for one in (value, *pseudonyms(value))]
        elif term.field == "subject":
            found = [one for value in term.values for one in (value, subject(value)) if one]
        else:
            return term
        return Term(term.field, tuple(dict.fromkeys(found)))

    return replace(query, terms=tuple(more(term) for term in query.terms))
