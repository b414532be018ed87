"""The accounts that a target's own log names, how often and when: nothing else of its lines is kept.

Laws: of a line only its account and its time count; accounts of leases whose lines a step explains count as one, and
those of which the record does not say yet do not count; the same log read twice, in whatever order, changes nothing: of
each account stand the widest times and the highest numbers that one reading found; when there are too many, those with
the most lines stay.
"""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import structs

from answerable.core.attribution.answer import ODD
from answerable.core.attribution.log_line import LOG_KINDS, LogKind
from answerable.core.lease.name import lease_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.attribution.answer import Answer
    from answerable.core.attribution.log_line import LogLine
    from answerable.core.canonical import JSONValue

ACCOUNTS_MAX: Final = 10_000
PAST: Final = frozenset({"bypass", "forged"})
"""Findings by which somebody used an account past the broker."""
TOO_MANY: Final = 4
NAME_CHARS_MAX: Final = 255
"""Longer names are passed over: no target has such accounts."""
OF_LEASES: Final = ""
"""Stands for all accounts that were made for leases: no account at a target is called so."""


class SeenAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One account. name: `OF_LEASES` for those of leases. kind: of the log. first, last: Unix milliseconds; 0 where no
    line has a time. lines: how many lines one reading found at most. past: lines of those that no step explains."""

    target: str
    name: str
    kind: LogKind
    first: int
    last: int
    lines: int
    past: int


class AccountsSeen:
    """Collects the accounts of one reading of a log."""

    def __init__(self, found: dict[str, list[int]] | None = None, *, most: int = ACCOUNTS_MAX) -> None:
        """found: what was collected before, by name; is added to. most: accounts that are kept when there are too many,
        which are `TOO_MANY` times as many."""
        self._found = {} if found is None else found
        self._most = most
        self.left_out = 0
        """Accounts that were let go, because there were too many or their names were too long."""

    def note(self, line: LogLine, answer: Answer | None) -> None:
        """Count a line. answer: None for one that has nothing to do with governed accounts."""
        name = line.account or line.login
        if not name:
            return
        is_odd = answer is not None and answer.verdict in ODD
        if not is_odd and answer is not None and lease_of(name) is not None:
            if answer.verdict == "later":
                return
            name = OF_LEASES
        known = self._found.get(name)
        if known is None:
            if len(name) > NAME_CHARS_MAX:
                self.left_out += 1
                return
            known = self._found[name] = [line.at, line.at, 0, 0]
        if line.at:
            known[0] = min(known[0] or line.at, line.at)
            known[1] = max(known[1], line.at)
        known[2] += 1
        known[3] += is_odd
        if len(self._found) > TOO_MANY * self._most:
            most = nlargest(self._most, self._found.items(), key=lambda one: one[1][2])
            self.left_out += len(self._found) - len(most)
            self._found.clear()
            self._found.update(most)

    def rows(self, target: str, kind: LogKind) -> list[SeenAccount]:
        """Return what was collected, of a log of this kind at this target."""
        return [SeenAccount(target, name, kind, *numbers) for name, numbers in self._found.items()]


def found_in(leaves: Iterable[tuple[str, Mapping[str, JSONValue]]]) -> list[SeenAccount]:
    """Return the accounts of findings that are on record. leaves: of each its account, empty for none, and its leaf."""
    found: dict[tuple[str, str], SeenAccount] = {}
    for name, leaf in leaves:
        target, kind, at = str(leaf.get("target")), leaf.get("kind"), leaf.get("line_at")
        if not name or leaf.get("verdict") not in PAST or kind not in LOG_KINDS or type(at) is not int:
            continue
        one = SeenAccount(target, name, kind, at, at, 1, 1)
        known = found.get((target, name))
        if known is not None:
            one = structs.replace(_with(known, one), lines=known.lines + 1, past=known.past + 1)
        found[target, name] = one
    return [*found.values()]


def joined(*several: Iterable[SeenAccount]) -> tuple[list[SeenAccount], int]:
    """Return what several readings found, by target and name, and how many accounts there were too many."""
    found: dict[tuple[str, str], SeenAccount] = {}
    for one in (one for some in several for one in some):
        known = found.get((one.target, one.name))
        found[one.target, one.name] = one if known is None else _with(known, one)
    most = nlargest(ACCOUNTS_MAX, found.values(), key=lambda one: (one.lines, one.target, one.name))
    return sorted(most, key=lambda one: (one.target, one.name)), len(found) - len(most)


def _with(one: SeenAccount, other: SeenAccount) -> SeenAccount:
    firsts = [at for at in (one.first, other.first) if at]
    return SeenAccount(
        one.target,
        one.name,
        max(one.kind, other.kind),
        min(firsts, default=0),
        max(one.last, other.last),
        max(one.lines, other.lines),
        max(one.past, other.past),
    )
