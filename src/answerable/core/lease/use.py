"""Compare the rights granted by leases with those that actions used, and find which could be removed.

Laws: a right is identified by its place in the grants, never by a value, so that placeholders stay placeholders; only
successful actions count as use; everything not known to be unused stays: one action whose use is unknown keeps every
right, and too few actions, or too short a time, allow no conclusion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from answerable.core.canonical import JSONValue

RIGHTS_MAX: Final = 2_000
"""Maximum per lease. Grants with more are not counted right by right."""
RECORDED_MAX: Final = 200
"""Maximum number of rights in the record of one action; past it its use is unknown."""
ACTIONS_MIN: Final = 30
DAYS_MIN: Final = 14
DAY_MS: Final = 86_400_000
_PLACE: Final = re.compile(r"[a-zA-Z0-9_:.-]{1,64}(/[a-zA-Z0-9_:.-]{1,64}){0,7}")
_HEX_32: Final = re.compile(r"[0-9a-f]{64}")

Untold = Literal["not_told", "unreadable"]
"""Why an action's use is unknown: it was not reported, or the record cannot be read (any more)."""
UNTOLD: Final[tuple[Untold, ...]] = get_args(Untold)


@dataclass(frozen=True, slots=True)
class Right:
    """One right that grants give. place: where it is granted, such as `tables/0/select`. text: human-readable, with its
    placeholders. is_told: whether its non-use can be observed; a right for which it cannot always stays. group: rights
    of one group work together and with no others; empty where all of them do."""

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
    """The rights that one action used, by place. unsure: those it may have used, which are kept all the same."""

    sure: frozenset[str]
    unsure: frozenset[str] = frozenset()

    @property
    def all(self) -> frozenset[str]:
        """All rights that the action may have needed."""
        return self.sure | self.unsure


def use_record(used: Used, scope: str) -> dict[str, JSONValue] | None:
    """Return the record for transport and storage; None for more than a record holds. scope: digest of the
    scope, hex."""
    if len(used.all) > RECORDED_MAX:
        return None
    return {"scope": scope, "sure": [*sorted(used.sure)], "unsure": [*sorted(used.unsure - used.sure)]}


def checked_use(record: object) -> dict[str, JSONValue] | None:
    """Validate an untrusted record; None for an invalid one."""
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
    """Return the digest of the scope, and the used rights; None for an invalid record."""
    found = checked_use(record)
    if found is None:
        return None
    sure, unsure = found["sure"], found["unsure"]
    assert isinstance(sure, list)  # noqa: S101 - just checked
    assert isinstance(unsure, list)  # noqa: S101 - just checked
    return str(found["scope"]), Used(frozenset(map(str, sure)), frozenset(map(str, unsure)))


@dataclass(slots=True, kw_only=True)
class RightUse:
    """How often one right was used. sure, unsure: how many actions used it, or may have. last_at: of the last of both,
    Unix milliseconds."""

    sure: int = 0
    unsure: int = 0
    last_at: int = 0


@dataclass(slots=True, kw_only=True)
class UseTally:
    """Actions of one capability in a period, under the same template of its lease.

    told: successful ones with known use. untold: successful ones without, by reason. elsewise: successful ones under
    another template. failed: those that the target refused or did not perform. unended: those whose end is unknown. The
    last three use nothing. first_at, last_at: of the told and untold ones; 0 for none.
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
        """Number of successful actions under this template."""
        return self.told + sum(self.untold.values())

    def add(self, used: Used, at: int) -> None:
        """Count a successful action."""
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
        """Count a successful action whose use is unknown."""
        self.untold[why] = self.untold.get(why, 0) + 1
        self._seen(at)

    def merge(self, other: UseTally) -> None:
        """Add the counts of another part of the same period."""
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
    """Return what is known of one right. `never used` requires that every action of the period reported its use."""
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
    """Required evidence before a narrower grant is proposed: actions with known use, and days since the first
    of them."""

    actions: int = ACTIONS_MIN
    days: int = DAYS_MIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Smaller:
    """A proposal for narrower grants. kept, dropped: rights. why_not: why nothing may be dropped, in words; empty where
    something may."""

    kept: tuple[Right, ...]
    dropped: tuple[Right, ...]
    why_not: tuple[str, ...] = ()


def smaller(rights: Collection[Right], tally: UseTally, needed: Needed, *, now: int) -> Smaller:
    """Return which of these rights could be removed: those unused in the whole period, given enough evidence.

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
    """What other grants would have refused of the actions with known use. lacking: rights that were used, or may have
    been, and are missing, with how many actions used each surely and unsurely. unknown: missing rights whose use cannot
    be observed. added: rights not granted before. is_none: nothing would have been refused."""

    lacking: tuple[tuple[Right, RightUse], ...]
    unknown: tuple[Right, ...]
    added: tuple[Right, ...]

    @property
    def is_none(self) -> bool:
        """Whether every action with known use would have had all its rights."""
        return not self.lacking


def refusals(rights: Collection[Right], tally: UseTally, others: Collection[Right]) -> Refusals:
    """Compare the use under these rights with other rights, matched by text, not by place: a person may have reordered
    them."""
    then = _groups(others)
    lacking: list[tuple[Right, RightUse]] = []
    unknown: list[Right] = []
    for group in _groups(rights):
        used = {one.text for one in group if one.place in tally.rights}
        # The group that contains most of the used rights of this one.
        there = max(
            ({one.text for one in other} for other in then),
            key=lambda texts: len(used & texts),
            default=set(),
        )
        gone = [one for one in group if one.text not in there]
        lacking += [(one, tally.rights[one.place]) for one in gone if one.place in tally.rights]
        # A removed table loses its columns, whose use is unobservable: only actions on the table could have used them.
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
    """Return the object of the right: `tables/0` for `tables/0/select` and for `tables/0/columns/1`."""
    return "/".join(right.place.split("/")[:2])
