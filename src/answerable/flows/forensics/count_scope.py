"""Count attempts outside of scope by the index, with examples that are opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from answerable.core.search.query import Term
from answerable.core.search.scope import BY, FIELDS, REFUSED, counted
from answerable.errors.codes.search import SCOPE_FIELD
from answerable.ports.search_index import WEEK

if TYPE_CHECKING:
    from answerable.core.search.query import Query
    from answerable.core.search.scope import ScopeCount, ScopeRow
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.search_index import Reach

DECIDED: Final = ("intent", REFUSED)
CONDITIONS: Final = frozenset({"agent", "instance", "mandate", "use-case", "capability", "server", "key"})
"""Fields that both what ran and what was refused have, so that a share under them means something."""
EXAMPLES: Final = 3
"""Newest attempts that are named in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeLine:
    """One row with examples: ids of the newest actions in it."""

    row: ScopeRow
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What was counted. lines: by field. unrecorded: refusals past an agent's quota, which are counted without a
    reason. reach: up to where this is complete."""

    count: ScopeCount
    lines: dict[str, tuple[ScopeLine, ...]]
    unrecorded: int
    reach: Reach


def check_conditions(query: Query) -> None:
    """Raises Malformed (`scope.field`) for a condition under which a share would mean nothing."""
    odd = [one.field for one in query.terms if one.field not in CONDITIONS]
    if query.amounts or odd:
        raise SCOPE_FIELD(
            f"attempts are not counted by `{odd[0] if odd else 'amount'}`, which what was refused does not have: give "
            f"{', '.join(sorted(CONDITIONS))}, since or until"
        )


def count_scope(teller: StoryTeller, query: Query, *, rows: int) -> Scope:
    """Count the actions that meet the search.

    query: of `CONDITIONS` and times alone. rows: of each field, the highest. Raises Unavailable and Broken as the index
    and the log do.
    """
    reach = teller.index.reach()
    count = decided(teller, query)
    lines = {
        by: tuple(
            ScopeLine(row=one, examples=_examples(teller, query, count, one))
            for one in (count.rows(by) if by == "week" else count.rows(by)[:rows])
        )
        for by in BY
    }
    return Scope(count=count, lines=lines, unrecorded=_unrecorded(teller, query), reach=reach)


def decided(teller: StoryTeller, query: Query) -> ScopeCount:
    """Count the decided actions that meet the search. Raises as `count_scope`."""
    found = teller.index.tallies(query, FIELDS)
    return counted((one.values, one.entries) for one in found if one.values[0] in DECIDED)


def _examples(teller: StoryTeller, query: Query, count: ScopeCount, row: ScopeRow) -> tuple[str, ...]:
    """Return the newest actions of a row."""
    if not row.outside or not row.name:
        return ()
    terms = [one for one in query.terms if one.field != row.by]
    if row.by != "code":
        terms.append(Term("code", tuple(sorted(count.codes))))
    if row.by == "week":
        monday = int(row.name)
        since, until = max(monday, query.since or 0), min(monday + WEEK, query.until or monday + WEEK)
        query = replace(query, since=since, until=until)
    else:
        terms.append(Term(row.by, (row.name,)))
    found: list[str] = []
    for hit in teller.matching(replace(query, terms=(*terms, Term("kind", (REFUSED,))))):
        found.append(hit.facts.one("action"))
        if len(found) == EXAMPLES:
            break
    return tuple(found)


def _unrecorded(teller: StoryTeller, query: Query) -> int:
    """Return how many refusals past a quota were only counted; of the agents of the search, if it names some."""
    agents = next((one.values for one in query.terms if one.field == "agent"), ())
    if any(one.field != "agent" for one in query.terms):
        return 0
    total = 0
    for hit in teller.matching(replace(query, terms=(Term("kind", ("refusals_counted",)),))):
        told = hit.moment.leaf.get("agents")
        for agent, count in told.items() if isinstance(told, dict) else ():
            if type(count) is int and (not agents or agent in agents):
                total += count
    return total
