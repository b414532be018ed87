"""Check that intents stay within what their mandates and approvals allow, as far as the entries of one log say it.

Laws:
- an approval is used by one intent;
- nothing is done under an intent that follows the close of its mandate, or was made when its mandate had expired;
- the intents of a mandate reserve no more than its budgets, less what their ends return.

An intent that waited for its place while its mandate was closed may follow the close, but is then not started. What an
end used beyond its reservation does not count here: the next intent may have been reserved before that was known. Of a
mandate that was issued or closed in another log, only what this log has is checked.

A log may be checked in ranges, as in `links.py`. Memory grows with mandates and used approvals, not with intents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import UNSET, UnsetType

from answerable.core.registry.documents.budget_name import CALLS
from answerable.errors import shown
from answerable.verify.leaf_rules import Fault
from answerable.verify.leaf_shapes import EndLeaf, IntentLeaf, MandateClosedLeaf, MandateLeaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.verify.leaf_types import Leaf

_ONE_CALL: Final = {CALLS: 1}


class Begun(NamedTuple):
    """What of an intent its end is compared with. entry: its index. reserved: UNSET, as in early entries, for one
    call."""

    entry: int
    mandate: str
    at: int
    reserved: dict[str, int] | UnsetType


class _Issued(NamedTuple):
    """What a mandate allows. expires: 0 if its entry does not say."""

    limits: dict[str, int]
    expires: int


class _Acted(NamedTuple):
    """Of the intents of a mandate under which something was done, the one made last, and the entry of its end."""

    at: int
    intent: int
    end: int


@dataclass(slots=True)
class _Used:
    """A budget of a mandate: used so far, the most ever used, and the intent that reached it."""

    now: int = 0
    peak: int = 0
    peak_at: int = 0


class Spending:
    """Mandates, budgets and approvals of a range of a log."""

    def __init__(self) -> None:
        self._issued: dict[str, _Issued] = {}
        self._closed: dict[str, int] = {}
        self._approvals: dict[str, int] = {}
        self._acted: dict[str, _Acted] = {}
        self._used: dict[tuple[str, str], _Used] = {}

    def note(self, index: int, leaf: Leaf) -> None:
        """Take an entry about a mandate."""
        if isinstance(leaf, MandateLeaf):
            limits = {} if leaf.budgets is UNSET else dict(leaf.budgets)
            if leaf.calls_max is not UNSET:
                limits[CALLS] = leaf.calls_max
            expires = 0 if leaf.expires is UNSET else leaf.expires
            self._issued.setdefault(leaf.mandate, _Issued(limits, expires))
        elif isinstance(leaf, MandateClosedLeaf):
            self._closed.setdefault(leaf.mandate, index)

    def begun(self, index: int, leaf: IntentLeaf) -> Fault | None:
        """Take an intent."""
        fault = None
        if leaf.approval:
            before = self._approvals.setdefault(leaf.approval, index)
            fault = _used_before(leaf.approval, before) if before != index else None
        issued = self._issued.get(leaf.mandate)
        for name, amount in _took(leaf.reserved).items():
            used = self._of(leaf.mandate, name)
            used.now += amount
            if used.now > used.peak:
                used.peak, used.peak_at = used.now, index
            if issued is not None and used.now > issued.limits.get(name, used.now):
                fault = fault or _beyond(leaf.mandate, name, used.now, issued.limits[name])
        return fault

    def ended(self, index: int, begun: Begun, leaf: EndLeaf, *, is_first: bool) -> Fault | None:
        """Take an end of an intent. is_first: not the correction of an indeterminate one, of which a failure may mean
        that nothing was tried."""
        if leaf.returned is not UNSET:
            for name, amount in leaf.returned.items():
                self._of(begun.mandate, name).now -= amount
        if leaf.status != "succeeded" and not (is_first and leaf.status == "failed"):
            return None
        acted = _Acted(begun.at, begun.entry, index)
        fault = self._ended_before(begun.mandate, acted)
        if fault is None:
            known = self._acted.get(begun.mandate)
            if known is None or acted > known:
                self._acted[begun.mandate] = acted
        return fault

    def joined(self, later: Spending) -> Iterator[tuple[int, Fault]]:
        """Append the next range, whose ends of this range's intents were taken before."""
        for approval, index in later._approvals.items():
            before = self._approvals.setdefault(approval, index)
            if before != index:
                yield index, _used_before(approval, before)
        for mandate, acted in later._acted.items():
            fault = self._ended_before(mandate, acted)
            if fault is not None:
                yield acted.end, fault
            self._acted[mandate] = max(self._acted.get(mandate, acted), acted)
        for (mandate, name), used in later._used.items():
            ours, issued = self._of(mandate, name), self._issued.get(mandate)
            peak = ours.now + used.peak
            if used.peak and issued is not None and peak > issued.limits.get(name, peak):
                yield used.peak_at, _beyond(mandate, name, peak, issued.limits[name])
            if peak > ours.peak:
                ours.peak, ours.peak_at = peak, used.peak_at
            ours.now += used.now
        self._issued = {**later._issued, **self._issued}
        self._closed = {**later._closed, **self._closed}

    def _of(self, mandate: str, name: str) -> _Used:
        used = self._used.get((mandate, name))
        if used is None:
            used = self._used[mandate, name] = _Used()
        return used

    def _ended_before(self, mandate: str, acted: _Acted) -> Fault | None:
        closed = self._closed.get(mandate)
        if closed is not None and closed < acted.intent:
            why = f"was closed before, by entry {closed}"
        elif (issued := self._issued.get(mandate)) is not None and 0 < issued.expires <= acted.at:
            why = "had expired then"
        else:
            return None
        return Fault(
            "pair.mandate_ended",
            f"something was done under the intent of entry {acted.intent}, whose mandate {shown(mandate)} {why}",
        )


def _took(reserved: dict[str, int] | UnsetType) -> dict[str, int]:
    return _ONE_CALL if reserved is UNSET else reserved


def _used_before(approval: str, before: int) -> Fault:
    return Fault("pair.approval_used", f"approval {shown(approval)} was used before, by entry {before}")


def _beyond(mandate: str, name: str, used: int, limit: int) -> Fault:
    return Fault(
        "pair.budget_spent",
        f"with it {used} of {shown(name)} are reserved under mandate {shown(mandate)}, which allows {limit}",
    )
