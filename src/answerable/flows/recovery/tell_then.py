"""Tell what agents could do at an earlier time, by the index, which finds the entries that say what was in force then.

Law: the answer is that of all entries up to the time. Of actions only those are read whose mandates stood then: what
others have spent changes no answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import kinds_of
from answerable.core.search.query import Query, Term
from answerable.errors.codes.search import SEARCH_LARGE
from answerable.flows.forensics.search_ledger import named_entry
from answerable.flows.forensics.tell_story import VALUES_MAX
from answerable.flows.policy.explain_what_if import told_possible
from answerable.flows.recovery.moment_then import SPENDING, TAKEN, Then

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from answerable.api.decision_answers import Possible
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.search_process import PossibleQuestion

ACTIONS_MAX: Final = 100_000
"""Actions that are read for one answer."""


def tell_then(teller: StoryTeller, question: PossibleQuestion) -> Possible:
    """Return what one agent could do, or which agents could do an action.

    Raises Malformed (`answers.*`, `policy.unreadable`), Unavailable (`search.large` among them), and Broken as the
    index and the log do.
    """
    then = then_of(teller, UnixMillis(question.at), agent=question.agent)
    return told_possible(
        then.moment(question.action, origin=teller.log.origin),
        agent=question.agent,
        resource=question.resource,
        withheld=then.withheld,
        unfollowed=then.unfollowed,
    )


def then_of(teller: StoryTeller, at: UnixMillis, *, agent: str = "") -> Then:
    """Return what was in force at a time. agent: whose mandates are asked about; empty for all. Raises as
    `tell_then`."""
    then = Then(at=at)
    standing = Query(terms=(Term("kind", kinds_of(TAKEN - SPENDING)),), until=at + 1)
    _take(teller, then, (one.entry for one in teller.index.candidates(standing, None)))
    mandates = [one.id for one in then.mandates.values() if agent in ("", one.agent) and then.stands(one)]
    _take(teller, then, _spent(teller, mandates, at))
    return then


def _spent(teller: StoryTeller, mandates: Sequence[str], at: int) -> Iterator[int]:
    """Yield the actions under these mandates up to a time, and how each ended."""
    count = 0
    for start in range(0, len(mandates), VALUES_MAX):
        under = Term("mandate", tuple(mandates[start : start + VALUES_MAX]))
        query = Query(terms=(under, Term("kind", kinds_of((Tag.INTENT,)))), until=at + 1)
        for candidate in teller.index.candidates(query, None):
            count += 1
            if count > ACTIONS_MAX:
                raise SEARCH_LARGE(
                    f"more than {ACTIONS_MAX} actions were done under the mandates of that time"
                )
            yield candidate.entry
            if candidate.ended is not None:
                yield from (*teller.index.corrected(candidate.entry), candidate.ended)


def _take(teller: StoryTeller, then: Then, entries: Iterable[int]) -> None:
    for entry in sorted(entries):
        # An action may have ended later.
        then.take(named_entry(teller.log, entry), teller.find)
