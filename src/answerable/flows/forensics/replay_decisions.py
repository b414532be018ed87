"""Replay the ledger's decisions and compare them, one range of entries per question.

Laws: what a decision was made under is what the log states before it, found by the index; statements about people are
read again for each range, so that erased data is not reported any more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.api import decision_answers as answers
from answerable.core.ledger.records_delegation import KIND
from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import kind_of
from answerable.core.search.query import Query, Term
from answerable.flows.forensics.search_ledger import named_entry
from answerable.verify.decision_replay import DECIDED, Replay, replay_all
from answerable.verify.ledger_replay import WHOLE_EVERY, decision_entry
from answerable.verify.replayed import VERDICTS
from answerable.verify.stated_before import StatedBefore, stated_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.search_process import ReplayQuestion
    from answerable.verify.replayed import Replayed, Said, Verdict
    from answerable.verify.stated_before import StatedName

STRETCH_SECONDS_MAX: Final = 0.5
"""After this time no further decisions are read for one answer, so that other questions get their turn."""
AT_ONCE: Final = 24
"""Decisions evaluated between two looks at the time."""
READ_AT_ONCE: Final = 256
"""Entries read without decisions between two looks at the time."""
TOLD_MAX: Final = 200
"""Decisions of one range that are listed: those that are not the same."""
TOLD: Final[tuple[Verdict, ...]] = ("differs", "cannot_tell")


def replay_decisions(
    teller: StoryTeller, question: ReplayQuestion, *, monotonic: Callable[[], float]
) -> answers.Replayed:
    """Replay the decisions of a range, as many as one answer covers. monotonic: returns seconds.

    Raises Unavailable, and Broken as the index and the log do.
    """
    size = teller.log.size
    last = size if question.stop is None else min(size, question.stop)
    ends_at, end, count = monotonic() + STRETCH_SECONDS_MAX, question.start, 0
    counts: Counter[Verdict] = Counter()
    told: list[Replayed] = []
    before = StatedBefore(_Places(teller).place, teller.log.entry, teller.find)
    for decisions, read_to in _turns(teller, question.start, min(last, question.start + question.limit)):
        found = _asked_again(teller, decisions, before, count)
        counts.update(one.verdict for one in found)
        told += [one for one in found if one.verdict in TOLD][: TOLD_MAX - len(told)]
        count, end = count + len(found), read_to
        if monotonic() >= ends_at:
            break
    return answers.Replayed(
        counts={verdict: counts[verdict] for verdict in VERDICTS if counts[verdict]},
        next=end if end < last else None,
        reading=False,
        size=size,
        told=tuple(map(_told, told)),
        others=(),
    )


@dataclass(slots=True)
class _Places:
    """Where the log first states what decisions were made under, looked up once for each range."""

    teller: StoryTeller
    _known: dict[StatedName, int | None] = field(default_factory=dict)
    _sets: dict[StatedName, int] | None = None

    def place(self, name: StatedName) -> int | None:
        """Return the first entry that states it; None for none."""
        if name not in self._known:
            self._known[name] = self._found(name)
        return self._known[name]

    def _found(self, name: StatedName) -> int | None:
        kind, *words = name
        if kind == "policy_set":
            if self._sets is None:
                self._sets = self._stating(Term("kind", (kind_of(Tag.POLICY_CHANGE),)))
            return self._sets.get(name)
        if kind == "mandate":
            return self.teller.index.giver(words[0])
        cited = (Term("token", (words[0],)), Term("kind", (kind_of(Tag.CITED),)))
        return self._stating(*cited).get(name) if kind == KIND else None

    def _stating(self, *terms: Term) -> dict[StatedName, int]:
        """Return what the entries that meet a search state, by name, each with the first of them."""
        found: dict[StatedName, int] = {}
        entries = sorted(one.entry for one in self.teller.index.candidates(Query(terms=terms), None))
        for stored in (named_entry(self.teller.log, one) for one in entries):
            found.setdefault(stated_name(stored), stored.index)
        return found


def _turns(teller: StoryTeller, start: int, stop: int) -> Iterator[tuple[list[StoredEntry], int]]:
    """Yield the decisions of each turn, and the first entry after the turn."""
    decisions: list[StoredEntry] = []
    if start >= stop:
        return
    for stored in teller.log.replay(start):
        if stored.tag in DECIDED:
            decisions.append(stored)
        end = stored.index + 1
        if len(decisions) >= AT_ONCE or end % READ_AT_ONCE == 0 or end >= stop:
            yield decisions, end
            decisions = []
        if end >= stop:
            return


def _asked_again(
    teller: StoryTeller, decisions: Sequence[StoredEntry], before: StatedBefore, count: int
) -> list[Replayed]:
    replays = []
    for number, stored in enumerate(decisions, count):
        entry = decision_entry(stored, teller.find)
        leaf, index = entry.leaf, stored.index
        under = before.policy_set(leaf, index), before.mandate(leaf, index), before.hops(leaf, index)
        replays.append(Replay(entry, *under, whole=number % WHOLE_EVERY == 0))
    return replay_all(replays)


def _told(one: Replayed) -> answers.ReplayedDecision:
    return answers.ReplayedDecision(
        action=one.action,
        derived=_recorded(one.derived) if one.derived is not None else None,
        index=one.index,
        recorded=_recorded(one.recorded),
        text=one.text,
        unchecked=one.unchecked,
        verdict=one.verdict,
    )


def _recorded(one: Said) -> answers.RecordedDecision:
    return answers.RecordedDecision(by=one.by, effect=one.effect, lifted=one.lifted)
