"""Tell what was handed on below a mandate, and what was done at each place, by the index.

Law: what was done without a token of the mandate is counted by the index alone; only actions with one are opened.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from answerable.api.tree_answers import ActionCounts
from answerable.core.incident.mandate_tree import Tally, count_outcome, grown
from answerable.core.incident.timeline import Moment
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.records_delegation import KIND
from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import kind_of, kinds_of
from answerable.core.search.query import Query, Term
from answerable.errors.codes.search import SEARCH_LARGE
from answerable.flows.forensics.search_ledger import named_entry
from answerable.flows.forensics.tell_story import VALUES_MAX
from answerable.ports.search_process import HopTold, TreeAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.core.incident.mandate_tree import Branch, MandateTree
    from answerable.flows.forensics.tell_story import StoryTeller

HOPS_MAX: Final = 1_000
"""Hops in one answer; the answer has the number of the others."""
OPENED_MAX: Final = 100_000
"""Actions that one tree opens."""
_DONE: Final = Term("kind", kinds_of((Tag.INTENT, Tag.REFUSAL)))


def tell_tree(teller: StoryTeller, mandate: str) -> TreeAnswer:
    """Return the hops of a mandate, parents first, with the actions at each.

    Raises Unavailable (`search.large` among them), and Broken as the index and the log do.
    """
    under = Term("mandate", (mandate,))
    cited = [*_cited(teller, under)]
    moments = sorted((*cited, *_delegated(teller, under, cited)), key=lambda one: one.index)
    tree = grown(moments, mandate)
    recorded: dict[str, Moment] = {}
    for moment in cited:
        # A consent has the name of the hop that it may become.
        if moment.leaf.get("kind") != KIND:
            continue
        recorded.setdefault(str(moment.leaf.get("name")), moment)
    places = {branch.hop.name: place for place, branch in enumerate(tree.branches)}
    return TreeAnswer(
        actions=_counts(_own(teller, under, tree)),
        hops=tuple(_told(one, recorded[one.hop.name], places) for one in tree.branches[:HOPS_MAX]),
        hops_count=len(tree.branches),
    )


def _cited(teller: StoryTeller, under: Term) -> Iterator[Moment]:
    """Yield the entries that record hops of a mandate, oldest first."""
    query = Query(terms=(under, Term("kind", (kind_of(Tag.CITED),))))
    for candidate in teller.index.candidates(query, None, oldest_first=True):
        yield teller.opened(candidate.entry)


def _delegated(teller: StoryTeller, under: Term, cited: Iterable[Moment]) -> Iterator[Moment]:
    """Yield the actions with a token of the mandate, and how each ended. Their sealed fields are not opened."""
    tokens = tuple(dict.fromkeys(str(one.leaf.get("hop")) for one in cited))
    found: dict[int, int | None] = {}
    for at in range(0, len(tokens), VALUES_MAX):
        query = Query(terms=(under, _DONE, Term("token", tokens[at : at + VALUES_MAX])))
        for candidate in teller.index.candidates(query, None):
            found[candidate.entry] = candidate.ended
            if len(found) > OPENED_MAX:
                raise SEARCH_LARGE(f"more than {OPENED_MAX} actions were done with tokens of this mandate")
    for entry in chain.from_iterable(found.items()):
        if entry is not None:
            stored = named_entry(teller.log, entry)
            yield Moment(index=entry, tag=stored.tag, leaf=leaf_of(stored), payload=None)


def _own(teller: StoryTeller, under: Term, tree: MandateTree) -> Tally:
    """Return what was done under the mandate itself: all of it but what was done at its hops."""
    own = Tally()
    for found in teller.index.tallies(Query(terms=(under, _DONE)), ("outcome",)):
        count_outcome(own, found.values[0], found.entries)
    for branch in tree.branches:
        own.done -= branch.tally.done
        own.failed -= branch.tally.failed
        own.refused -= branch.tally.refused
        own.unknown -= branch.tally.unknown
        own.in_flight -= branch.tally.in_flight
    return own


def _told(branch: Branch, moment: Moment, places: dict[str, int]) -> HopTold:
    token = (moment.payload or {}).get("token")
    return HopTold(
        leaf=dict(moment.leaf),
        token=token if isinstance(token, str) else "",
        above=places[branch.above.name] if branch.above is not None else -1,
        actions=_counts(branch.tally),
    )


def _counts(tally: Tally) -> ActionCounts:
    return ActionCounts(
        done=tally.done,
        failed=tally.failed,
        refused=tally.refused,
        unknown=tally.unknown,
        in_flight=tally.in_flight,
    )
