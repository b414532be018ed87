"""Count attempts outside of scope: refused actions whose code says what they were outside of.

Laws: which codes count is declared with the codes; a refusal by an organisation's own policy is counted apart, because
it may be within the task; an action that waits for people is not counted before it is decided; shares are of all
decided actions under the same conditions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, get_args

from answerable.errors.code import Beyond
from answerable.errors.declared import beyond_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIELDS: Final = ("kind", "code", "agent", "capability", "use-case", "rule", "week")
"""What actions are counted by, in this order."""
BY: Final = ("agent", "capability", "use-case", "rule", "code", "week")
OF_ALL: Final = frozenset({"rule", "code"})
"""Of these only refusals have the names that refuse: their share is of all actions."""
LIMITS: Final = tuple(one for one in get_args(Beyond) if one)
REFUSED: Final = "refusal"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeRow:
    """Attempts outside of scope with one name. by: of `BY`. name: empty for refusals that have none; of a week, its
    Monday, Unix milliseconds. actions: all decided actions with this name, of which they are a share."""

    by: str
    name: str
    outside: int
    actions: int
    limits: tuple[tuple[str, int], ...]

    @property
    def share(self) -> float:
        """Return the part of the actions that was outside."""
        return share_of(self.outside, self.actions)


@dataclass(slots=True)
class ScopeCount:
    """Adds up counts of actions. by_policy: refusals by an organisation's own policies. other: refusals for another
    reason, such as a hold or an approval that was denied."""

    actions: int = 0
    outside: int = 0
    by_policy: int = 0
    other: int = 0
    limits: Counter[str] = field(default_factory=Counter)
    codes: set[str] = field(default_factory=set)
    _actions: Counter[tuple[str, str]] = field(default_factory=Counter)
    _outside: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)

    def add(self, values: Sequence[str], entries: int) -> None:
        """Add actions with the same values of `FIELDS`."""
        named = dict(zip(FIELDS, values, strict=True))
        self.actions += entries
        for by in BY:
            self._actions[by, named[by]] += entries
        if named["kind"] != REFUSED:
            return
        beyond = beyond_of(named["code"])
        if beyond is None:
            self.by_policy += entries
        elif not beyond:
            self.other += entries
        else:
            self.outside += entries
            self.limits[beyond] += entries
            self.codes.add(named["code"])
            for by in BY:
                self._outside.setdefault((by, named[by]), Counter())[beyond] += entries

    def actions_of(self, by: str, name: str) -> int:
        """Return all decided actions with this name."""
        return self._actions[by, name]

    def rows(self, by: str) -> tuple[ScopeRow, ...]:
        """Return the counts by one field, the highest first; of weeks all with actions, in order."""
        if by == "week":
            return tuple(
                self._row(by, name)
                for name in sorted({one for kind, one in self._actions if kind == by}, key=int)
            )
        found = [self._row(by, name) for kind, name in self._outside if kind == by]
        return tuple(sorted(found, key=lambda one: (-one.outside, one.name)))

    def _row(self, by: str, name: str) -> ScopeRow:
        limits = self._outside.get((by, name), Counter())
        return ScopeRow(
            by=by,
            name=name,
            outside=limits.total(),
            actions=self.actions if by in OF_ALL else self._actions[by, name],
            limits=_ordered(limits),
        )

    def limits_told(self) -> tuple[tuple[str, int], ...]:
        """Return the counts by what was exceeded."""
        return _ordered(self.limits)


def share_of(part: int, whole: int) -> float:
    """Return a part of the whole, from 0 to 1, to four places."""
    return round(part / whole, 4) if whole else 0.0


def counted(rows: Iterable[tuple[Sequence[str], int]]) -> ScopeCount:
    """Add up counts of actions by `FIELDS`."""
    found = ScopeCount()
    for values, entries in rows:
        found.add(values, entries)
    return found


def _ordered(limits: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple((one, limits[one]) for one in LIMITS if limits[one])
