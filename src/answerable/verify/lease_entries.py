"""Check that the entries about each lease agree, and each entry by itself.

Laws:
- an entry about a lease is consistent: an ended lease has an end and its time, a used lease was issued, a revoked
  lease was issued or could not be revoked before;
- an entry names the intent that named the lease: an earlier intent, with exactly that lease;
- for one lease, changes and uses only grow, the issue time is constant, and an ended lease stays ended.

A lease that a broker without memory learnt of (`recalled`: no scope, no intent) states less, and only the first law
applies to it. A log may be checked in ranges, each by itself, and so may selected entries. Only the last NAMES_MAX
leases and intents are remembered, which bounds the memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from msgspec import UNSET

from answerable.core.lease.name import NAME_CHARS
from answerable.errors import shown
from answerable.verify.leaf_rules import Fault
from answerable.verify.leaf_shapes import IntentLeaf
from answerable.verify.lease_shapes import LeaseLeaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.verify.leaf_types import Leaf

Key = TypeVar("Key")
Value = TypeVar("Value")

NAMES_MAX: Final = 250_000


class _Stood(NamedTuple):
    """The state of a lease at its last entry, or at its first one in a range."""

    entry: int
    change: int
    uses: int
    issued_at: int
    is_ended: bool


class LeaseEntries:
    """The leases of a log, from entry `first` on. here: the entries that are read, where they are selected ones."""

    def __init__(self, first: int = 0, here: frozenset[int] | None = None) -> None:
        self._first, self._here = first, here
        self._named: dict[int, str] = {}
        self._stood: dict[str, _Stood] = {}
        self._began: dict[str, _Stood] = {}
        self._earlier: list[tuple[int, int, str]] = []

    @property
    def absent(self) -> int:
        """Intents before the range or beside the selection that an entry names, one for each entry."""
        return len(self._earlier)

    def fault(self, index: int, leaf: Leaf) -> Fault | None:
        """Take the next entry and return its fault, if any."""
        if isinstance(leaf, IntentLeaf):
            if leaf.lease is not UNSET and len(leaf.lease) == NAME_CHARS:
                _keep(self._named, index, leaf.lease)
            return None
        if not isinstance(leaf, LeaseLeaf):
            return None
        if (fault := lease_fault(leaf)) is not None or _is_recalled(leaf):
            return fault
        if leaf.intent < self._first or self._is_left_out(leaf.intent, index):
            self._earlier.append((index, leaf.intent, leaf.lease))
        elif fault := self._intent_fault(index, leaf.intent, leaf.lease):
            return fault
        stands = _Stood(index, leaf.change, leaf.uses, leaf.issued_at, leaf.state == "ended")
        before = self._stood.get(leaf.lease)
        _keep(self._stood, leaf.lease, stands)
        if before is None:
            self._began[leaf.lease] = stands
            return None
        return _order_fault(leaf.lease, before, stands)

    def joined(self, later: LeaseEntries) -> Iterator[tuple[int, Fault]]:
        """Append the next range, which was read separately; yield the faults that only both together show, each with
        its entry."""
        for index, intent, lease in later._earlier:
            if fault := self._intent_fault(index, intent, lease):
                yield index, fault
        for lease, began in later._began.items():
            before = self._stood.get(lease)
            if before is not None and (fault := _order_fault(lease, before, began)):
                yield began.entry, fault
        for at, lease in later._named.items():
            _keep(self._named, at, lease)
        for lease, stood in later._stood.items():
            _keep(self._stood, lease, stood)

    def _intent_fault(self, index: int, intent: int, lease: str) -> Fault | None:
        named = self._named.get(intent)
        if named == lease:
            return None
        if named is not None:
            return Fault("lease.intent", f"its intent, entry {intent}, names another lease, {shown(named)}")
        if intent >= index or not self._is_forgotten(intent):
            return Fault(
                "lease.intent", f"its intent is said to be entry {intent}, which names no lease before it"
            )
        return None

    def _is_left_out(self, intent: int, index: int) -> bool:
        return self._here is not None and intent < index and intent not in self._here

    def _is_forgotten(self, intent: int) -> bool:
        return len(self._named) >= NAMES_MAX and intent < next(iter(self._named))


def _keep(known: dict[Key, Value], key: Key, value: Value) -> None:
    known.pop(key, None)
    known[key] = value
    if len(known) > NAMES_MAX:
        del known[next(iter(known))]


def _is_recalled(leaf: LeaseLeaf) -> bool:
    return not leaf.scope and not leaf.intent


def lease_fault(leaf: LeaseLeaf) -> Fault | None:
    """Check that one entry about a lease does not contradict itself."""
    ended = leaf.state == "ended"
    if ended != bool(leaf.end) or ended != bool(leaf.ended_at):
        return Fault(
            "lease.end",
            ("the entry ends the lease without saying how and when, or says how without ending it"),
        )
    if not ended and leaf.live_until:
        return Fault("lease.end", "the entry says what still works of a lease that has not ended")
    is_issued = bool(leaf.issued_at)
    if (leaf.state == "issued" or leaf.uses or leaf.renewed_at) and not is_issued:
        return Fault(
            "lease.unissued",
            ("the entry says that the lease is live or was used, but not that it was issued"),
        )
    if leaf.state == "named" and is_issued:
        return Fault(
            "lease.unissued", ("the entry says that the lease was issued and also that it is not issued yet")
        )
    if leaf.end == "not_issued" and is_issued:
        return Fault(
            "lease.unissued",
            ("the entry says that the lease was issued and also that it ended before it was"),
        )
    ends_something = is_issued or leaf.attempts or leaf.sessions_cut or _is_recalled(leaf)
    if leaf.end in ("revoked", "expired") and not ends_something:
        return Fault("lease.unissued", f"it says that the lease was {leaf.end}, and never that it was issued")
    if leaf.state == "unrevoked" and not leaf.attempts:
        return Fault(
            "lease.unrevoked",
            ("the entry says that the lease could not be revoked but that nothing tried to"),
        )
    return None


def _order_fault(lease: str, before: _Stood, stands: _Stood) -> Fault | None:
    if before.is_ended and not stands.is_ended:
        return Fault("lease.order", f"lease {shown(lease)} ended in entry {before.entry}, and is live again")
    if stands.change < before.change or stands.uses < before.uses:
        return Fault(
            "lease.order", f"it is older than what entry {before.entry} says of lease {shown(lease)}"
        )
    if before.issued_at and stands.issued_at != before.issued_at:
        return Fault(
            "lease.order", f"lease {shown(lease)} was issued at another time by entry {before.entry}"
        )
    return None
