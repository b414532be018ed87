"""Granted against used: the single rights of a lease's grants, what actions used of them, and what could go.

Laws: a right is named by its place in the grants, never by a value, so that placeholders stay placeholders; only what
succeeded is use; whatever is not known to be unused stays: one action whose use nobody can tell keeps every right, and
of too few actions, or too short a time, nothing follows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from answerable.core.canonical import JSONValue

RIGHTS_MAX: Final = 2_000
"""Of one lease. What has more is not counted right by right."""
RECORDED_MAX: Final = 200
"""Rights that the record of one action names; past it its use is not told."""
ACTIONS_MIN: Final = 30
DAYS_MIN: Final = 14
DAY_MS: Final = 86_400_000
_PLACE: Final = re.compile(r"[a-zA-Z0-9_:.-]{1,64}(/[a-zA-Z0-9_:.-]{1,64}){0,7}")
_HEX_32: Final = re.compile(r"[0-9a-f]{64}")

Untold = Literal["not_told", "unreadable"]
"""Why it is not known what an action used: nobody told, or what was written down cannot be read (any more)."""
UNTOLD: Final[tuple[Untold, ...]] = get_args(Untold)


@dataclass(frozen=True, slots=True)
class Right:
    """place: where it is granted, such as `tables/0/select`. text: for people, with its placeholders. is_told: whether
    it is ever known of this kind of right that it was not used; one of which it is not always stays. group: rights of
    one group work together and with no others; empty where all of them do."""

    place: str
    text: str
    is_told: bool = True
    group: str = ""

    @property
    def shown(self) -> str:
        """The text, with the group where there are several."""
        return f"{self.text} ({self.group})" if self.group else self.text


@dataclass(frozen=True, slots=True)
class Used:
    """Places of rights that one action used. unsure: that it may have used, which counts as much for keeping them."""

    sure: frozenset[str]
    unsure: frozenset[str] = frozenset()

    @property
    def all(self) -> frozenset[str]:
        """Whatever it may have needed."""
        return self.sure | self.unsure


def use_record(used: Used, scope: str) -> dict[str, JSONValue] | None:
    """As it travels and is written down; None for more than a record holds. scope: digest of the scope, hex."""
    if len(used.all) > RECORDED_MAX:
        return None
    return {"scope": scope, "sure": [*sorted(used.sure)], "unsure": [*sorted(used.unsure - used.sure)]}


def checked_use(record: object) -> dict[str, JSONValue] | None:
    """The record that came from outside, or None for what is none."""
    if not isinstance(record, dict) or record.keys() != {"scope", "sure", "unsure"}:
        return None
    scope, sure, unsure = record["scope"], record["sure"], record["unsure"]
    if not isinstance(scope, str) or not _HEX_32.fullmatch(scope):
        return None
    if not isinstance(sure, list) or not isinstance(unsure, list) or len(sure) + len(unsure) > RECORDED_MAX:
        return None
    if not all(isinstance(one, str) and _PLACE.fullmatch(one) for one in (*sure, *unsure)):
        return None
    return {"scope": scope, "sure": [*sure], "unsure": [*unsure]}


def used_in(record: object) -> tuple[str, Used] | None:
    """Digest of the scope, and what was used; None for what is no record."""
    found = checked_use(record)
    if found is None:
        return None
    sure, unsure = found["sure"], found["unsure"]
    assert isinstance(sure, list)  # noqa: S101 - just checked
    assert isinstance(unsure, list)  # noqa: S101 - just checked
    return str(found["scope"]), Used(frozenset(map(str, sure)), frozenset(map(str, unsure)))


@dataclass(slots=True, kw_only=True)
class RightUse:
    """sure, unsure: how many actions used it, or may have. last_at: of the last of both, Unix milliseconds."""

    sure: int = 0
    unsure: int = 0
    last_at: int = 0


@dataclass(slots=True, kw_only=True)
class UseTally:
    """Actions of one capability in a period, under one and the same template of its lease.

    told: that succeeded and say what they used. untold: that succeeded and do not, by why. elsewise: that succeeded
    under another template. failed: that the target refused or did not do. unended: whose end is not known. The last
    three use nothing. first_at, last_at: of those that were told or untold; 0 for none.
    """

    told: int = 0
    untold: dict[Untold, int] = field(default_factory=dict)
    elsewise: int = 0
    failed: int = 0
    unended: int = 0
    first_at: int = 0
    last_at: int = 0
    rights: dict[str, RightUse] = field(default_factory=dict)

    @property
    def counted(self) -> int:
        """Actions that succeeded under this template."""
        return self.told + sum(self.untold.values())

    def add(self, used: Used, at: int) -> None:
        """One that succeeded."""
        self.told += 1
        self._seen(at)
        for place in used.all:
            right = self.rights.setdefault(place, RightUse())
            if place in used.sure:
                right.sure += 1
            else:
                right.unsure += 1
            right.last_at = max(right.last_at, at)

    def add_untold(self, why: Untold, at: int) -> None:
        """One that succeeded, and of which nobody knows what it used."""
        self.untold[why] = self.untold.get(why, 0) + 1
        self._seen(at)

    def merge(self, other: UseTally) -> None:
        """Those of another part of the same period."""
        self.told += other.told
        self.elsewise += other.elsewise
        self.failed += other.failed
        self.unended += other.unended
        for why, count in other.untold.items():
            self.untold[why] = self.untold.get(why, 0) + count
        for at in (other.first_at, other.last_at):
            self._seen(at)
        for place, use in other.rights.items():
            right = self.rights.setdefault(place, RightUse())
            right.sure += use.sure
            right.unsure += use.unsure
            right.last_at = max(right.last_at, use.last_at)

    def _seen(self, at: int) -> None:
        if at:
            self.first_at = min(self.first_at or at, at)
            self.last_at = max(self.last_at, at)


UseOf = Literal["used", "may be used", "never used", "unknown", "no data"]


def use_of(right: Right, tally: UseTally) -> UseOf:
    """What is known of one right. `never used` is said only where every action of the period told what it used."""
    use = tally.rights.get(right.place)
    if use is not None and use.sure:
        return "used"
    if use is not None and use.unsure:
        return "may be used"
    if not tally.counted:
        return "no data"
    return "never used" if right.is_told and not tally.untold else "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """How much must have been seen before less is proposed: actions that told what they used, and days since the first
    of them."""

    actions: int = ACTIONS_MIN
    days: int = DAYS_MIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Smaller:
    """kept, dropped: rights. why_not: why nothing may be dropped, in words; empty where it may."""

    kept: tuple[Right, ...]
    dropped: tuple[Right, ...]
    why_not: tuple[str, ...] = ()


def smaller(rights: Collection[Right], tally: UseTally, needed: Needed, *, now: int) -> Smaller:
    """What of these rights could go: those that nothing used in the whole period, where enough was seen of it.

    now: Unix milliseconds.
    """
    why_not = tuple(_too_little(tally, needed, now))
    unused = {right for right in rights if use_of(right, tally) == "never used"}
    if why_not:
        return Smaller(kept=tuple(rights), dropped=(), why_not=why_not)
    return Smaller(
        kept=tuple(right for right in rights if right not in unused),
        dropped=tuple(right for right in rights if right in unused),
    )


def _too_little(tally: UseTally, needed: Needed, now: int) -> Iterable[str]:
    days = (now - tally.first_at) // DAY_MS if tally.first_at else 0
    if tally.told < needed.actions:
        yield f"{tally.told} actions told what they used, and at least {needed.actions} are needed"
    if days < needed.days:
        yield f"the first of them was {days} days ago, and at least {needed.days} are needed"
    for why, count in sorted(tally.untold.items()):
        said = "did not tell what they used" if why == "not_told" else "cannot be read any more"
        yield f"{count} actions {said}: each may have used anything"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """What other grants would have refused of the actions that told. lacking: rights that were used, or may have been,
    and are not there, with how many actions used each surely and unsurely. unknown: that nobody tells of and that are
    not there either, so that it cannot be known. added: that were not granted. is_none: nothing would have been."""

    lacking: tuple[tuple[Right, RightUse], ...]
    unknown: tuple[Right, ...]
    added: tuple[Right, ...]

    @property
    def is_none(self) -> bool:
        """Whether every action that told what it used would have had all of it."""
        return not self.lacking


def refusals(rights: Collection[Right], tally: UseTally, others: Collection[Right]) -> Refusals:
    """Hold what was used under these rights against others, which are compared by what they say, not by their places:
    a person may have moved them."""
    then = _groups(others)
    lacking: list[tuple[Right, RightUse]] = []
    unknown: list[Right] = []
    for group in _groups(rights):
        used = {one.text for one in group if one.place in tally.rights}
        # The group that takes over most of what was used of this one.
        there = max(
            ({one.text for one in other} for other in then),
            key=lambda texts: len(used & texts),
            default=set(),
        )
        gone = [one for one in group if one.text not in there]
        lacking += [(one, tally.rights[one.place]) for one in gone if one.place in tally.rights]
        # With a whole table its columns go, of which nobody tells: they were used by nothing but what used the table.
        kept = {_parent(one) for one in group if one.is_told and one.text in there}
        unknown += [one for one in gone if not one.is_told and _parent(one) in kept]
    before = [{one.text for one in group} for group in _groups(rights)]
    added: list[Right] = []
    for group in then:
        texts = {one.text for one in group}
        known = max(before, key=lambda known: len(texts & known), default=set())
        added += [one for one in group if one.text not in known]
    return Refusals(lacking=tuple(lacking), unknown=tuple(unknown), added=tuple(added))


def _groups(rights: Iterable[Right]) -> list[list[Right]]:
    found: dict[str, list[Right]] = {}
    for right in rights:
        found.setdefault(right.group, []).append(right)
    return list(found.values())


def _parent(right: Right) -> str:
    """What it is a right on: `tables/0` of `tables/0/select` and of `tables/0/columns/1`."""
    return "/".join(right.place.split("/")[:2])
