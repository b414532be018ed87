"""Check how entries must fit together: intents with their ends, and runs.

Laws:
- every end refers to an earlier intent by index and action, and by leaf hash where it states one;
- an end returns no more than its intent reserved, and an indeterminate end returns nothing;
- an intent has one end, and after an indeterminate end at most one correction;
- only an action that was decided `allow` has an intent;
- intents stay within what their mandates and approvals allow (`spending.py`);
- the entries of a run are numbered from 0 without a gap, each names the leaf hash of the one before, and all are about
  one mandate.

`citations.py` checks the references. A log may be checked in ranges, each by itself: statements of a range about
entries before it are stored, and checked when the range is joined. Memory is one byte an entry, and more only for
intents without an end and for runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import UNSET, UnsetType

from answerable.core.action.lifecycle import ENDS, TRANSITIONS
from answerable.core.base64url import to_base64url
from answerable.core.ledger.tags import Tag
from answerable.core.registry.documents.budget_name import CALLS
from answerable.errors import shown
from answerable.verify.answer_shapes import AnswerLeaf
from answerable.verify.leaf_rules import Fault
from answerable.verify.leaf_shapes import ApprovalLeaf, EndLeaf, IntentLeaf, RefusalLeaf
from answerable.verify.report import OpenIntent
from answerable.verify.spending import Begun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.verify.leaf_types import Leaf
    from answerable.verify.spending import Spending

_HASH_CHARS: Final = 43
_OPEN: Final = 1
_INDETERMINATE: Final = 2
_ENDED: Final = 3


def _ends_after(*states: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(to for state in states for to in TRANSITIONS[state] if to in ENDS))


# By state of the intent, and whether the entry is an indeterminate end: the statuses that the transition table allows.
_STATUSES: Final = {
    (state, indeterminate): tuple(one for one in ends if (one == "indeterminate") is indeterminate)
    for state, ends in (
        (_OPEN, _ends_after("acting", "logged")),
        (_INDETERMINATE, _ends_after("indeterminate")),
        (_ENDED, _ends_after("succeeded", "failed", "not_started")),
    )
    for indeterminate in (False, True)
}
_OPEN_SHOWN_MAX: Final = 100
_ABOUT_A_MANDATE: Final = (IntentLeaf, RefusalLeaf, ApprovalLeaf, AnswerLeaf)


class Pairing:
    """Intents and their ends, from entry `first` on. mark: see `unended_at_mark`. spending: None where not all entries
    are here, so that nothing can be counted."""

    def __init__(self, first: int = 0, *, mark: int = 0, spending: Spending | None = None) -> None:
        self._first = first
        self._spending = spending
        self._mark = mark
        self._states = bytearray()
        # Leaf hash, action, deadline and what is spent of the intents that may still get an end.
        self._intents: dict[int, tuple[bytes, str, int, Begun]] = {}
        self._earlier: list[tuple[int, EndLeaf]] = []
        self._past_mark: dict[int, int] = {}

    def fault(self, index: int, leaf: Leaf, leaf_hash: bytes) -> Fault | None:
        """Take the next entry and return its fault, if any. Entries that could not be read are left out."""
        if isinstance(leaf, IntentLeaf):
            return self.begun(index, leaf, leaf_hash)
        if isinstance(leaf, EndLeaf):
            return self.ended(index, leaf)
        self.noted(index, leaf)
        return None

    def noted(self, index: int, leaf: Leaf) -> None:
        """Take another entry, which may be about a mandate."""
        if self._spending is not None:
            self._spending.note(index, leaf)

    def begun(self, index: int, leaf: IntentLeaf, leaf_hash: bytes) -> Fault | None:
        """Take an intent."""
        states, at = self._states, index - self._first
        states.extend(bytes(at + 1 - len(states)))
        states[at] = _OPEN
        begun = Begun(index, leaf.mandate, leaf.at, leaf.reserved)
        self._intents[index] = (leaf_hash, leaf.action, leaf.deadline, begun)
        spent = None if self._spending is None else self._spending.begun(index, leaf)
        if leaf.decision.effect != "allow":
            return Fault("pair.not_allowed", f"an intent that was decided {shown(leaf.decision.effect)}")
        return spent

    def ended(self, index: int, leaf: EndLeaf) -> Fault | None:
        """Take the end of an intent."""
        if leaf.intent >= self._first:
            return self._end_fault(index, leaf)
        self._earlier.append((index, leaf))
        return None

    def joined(self, later: Pairing) -> Iterator[tuple[int, Fault]]:
        """Append the next range, which was read separately; yield the faults that only both together show, each with
        its entry."""
        for index, leaf in later._earlier:
            fault = self._end_fault(index, leaf)
            if fault is not None:
                yield index, fault
        if self._spending is not None and later._spending is not None:
            yield from self._spending.joined(later._spending)
        self._states.extend(bytes(later._first - self._first - len(self._states)))
        self._states += later._states
        self._intents.update(later._intents)
        self._past_mark.update(later._past_mark)

    def open_intents(self) -> tuple[int, tuple[OpenIntent, ...]]:
        """Return how many intents have no end, and the first of them."""
        still = [index for index in self._intents if self._state(index) == _OPEN]
        return len(still), tuple(self._shown(sorted(still)[:_OPEN_SHOWN_MAX]))

    def unended_at_mark(self) -> tuple[set[int], dict[int, int]]:
        """Return the intents before the mark without any end, and those whose first end is at or after the mark, with
        that end."""
        never = {index for index in self._intents if index < self._mark and self._state(index) == _OPEN}
        return never, self._past_mark

    def _state(self, index: int) -> int:
        at = index - self._first
        return self._states[at] if 0 <= at < len(self._states) else 0

    def _shown(self, indexes: list[int]) -> Iterable[OpenIntent]:
        for index in indexes:
            _, action, deadline, _ = self._intents[index]
            yield OpenIntent(index=index, action=action, deadline=deadline)

    def _end_fault(self, index: int, leaf: EndLeaf) -> Fault | None:
        at, indeterminate = leaf.intent, leaf.tag == Tag.INDETERMINATE
        state = self._state(at)
        if not state:
            return Fault("pair.no_intent", f"its intent is said to be entry {at}, which is no earlier intent")
        allowed = _STATUSES[state, indeterminate]
        if not allowed:
            return Fault("pair.second_end", f"the intent of entry {at} had an end before")
        leaf_hash, action, _, begun = self._intents[at]
        if leaf.intent_leaf is not UNSET and leaf.intent_leaf != leaf_hash.hex():
            return Fault("pair.leaf_hash", f"it names another leaf hash than that of its intent, entry {at}")
        if leaf.action != action:
            return Fault("pair.action", f"it names another action than its intent, entry {at}")
        if leaf.status not in allowed:
            return Fault("pair.status", f"status {shown(leaf.status)} is not one of {', '.join(allowed)}")
        if leaf.returned is not UNSET and (
            fault := _returned_fault(leaf.returned, begun.reserved, indeterminate)
        ):
            return fault
        if index >= self._mark > at and state == _OPEN:
            self._past_mark[at] = index
        self._states[at - self._first] = _INDETERMINATE if indeterminate else _ENDED
        if not indeterminate:
            del self._intents[at]
        if self._spending is None:
            return None
        return self._spending.ended(index, begun, leaf, is_first=state == _OPEN)


def _returned_fault(
    returned: dict[str, int], reserved: dict[str, int] | UnsetType, indeterminate: bool
) -> Fault | None:
    """Check the returned amounts. An intent without a stated reservation reserved one call."""
    took = {CALLS: 1} if reserved is UNSET else reserved
    for name, amount in returned.items():
        if indeterminate or amount > took.get(name, 0):
            return Fault(
                "pair.returned",
                f"it gives back {amount} of {shown(name)}, its intent took {took.get(name, 0)}",
            )
    return None


class _Began(NamedTuple):
    """The first entry of a run in a range."""

    entry: int
    seq: int
    prev: str


class Runs:
    """The runs of a log, from entry `first` on."""

    def __init__(self, first: int = 0) -> None:
        self._is_whole = first == 0
        # By run id: number and leaf hash of the last entry, and the mandate; empty until an entry names one.
        self._reached: dict[str, tuple[int, bytes, str]] = {}
        self._began: dict[str, _Began] = {}

    def fault(self, index: int, leaf: Leaf, leaf_hash: bytes) -> Fault | None:
        """Take the next entry and return its fault, if any."""
        run = leaf.run
        if run is UNSET:
            return None
        mandate = ""
        if isinstance(leaf, _ABOUT_A_MANDATE):
            mandate = leaf.mandate or ""
        seq = run.seq
        reached = self._reached.get(run.id)
        if reached is None:
            self._reached[run.id] = (seq, leaf_hash, mandate)
            if self._is_whole:
                return step_fault(seq, run.prev, None)
            self._began[run.id] = _Began(index, seq, run.prev)
            return None
        last, before, known = reached
        self._reached[run.id] = (seq, leaf_hash, known or mandate)
        if seq != last + 1 or not _is_hash(run.prev, before):
            return step_fault(seq, run.prev, reached)
        return _mandate_fault(known, mandate)

    def joined(self, later: Runs) -> Iterator[tuple[int, Fault]]:
        """Append the next range, which was read separately."""
        for run_id, began in later._began.items():
            reached, mandate = self._reached.get(run_id), later._reached[run_id][2]
            fault = step_fault(began.seq, began.prev, reached)
            if fault is None and reached is not None:
                fault = _mandate_fault(reached[2], mandate)
            if fault is not None:
                yield began.entry, fault
        for run_id, (seq, leaf_hash, mandate) in later._reached.items():
            before = self._reached.get(run_id)
            self._reached[run_id] = (seq, leaf_hash, mandate if before is None else before[2] or mandate)


def step_fault(seq: int, prev: str, reached: tuple[int, bytes, str] | None) -> Fault | None:
    """Check that an entry continues its run. reached: number, leaf hash and mandate of the run's last entry; None if
    none."""
    expected = reached[0] + 1 if reached else 0
    if seq != expected:
        return Fault("run.gap", f"it is number {seq} of its run, expected {expected}")
    if not (_is_hash(prev, reached[1]) if reached else prev == ""):
        return Fault("run.previous", "the entry does not name the previous entry of its run")
    return None


def _is_hash(stated: str, leaf_hash: bytes) -> bool:
    """Whether it is this hash, in base64url or, as in entries from before 2026-12-01, in hex."""
    return stated == to_base64url(leaf_hash) if len(stated) == _HASH_CHARS else stated == leaf_hash.hex()


def _mandate_fault(known: str, mandate: str) -> Fault | None:
    if known and mandate and known != mandate:
        return Fault("run.mandate", f"its run is about {shown(known)}, it is about {shown(mandate)}")
    return None
