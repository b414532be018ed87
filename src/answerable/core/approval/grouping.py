"""Groups of near-identical approvals that wait, the odd ones apart and first.

A group is of one agent, one mandate and one capability; all that is not compared leaf by leaf, such as the tool's
definition, the chain, the rules and whom they ask, is the same for all that are alike in it. What differs there in one
or two is attached to the group as odd.

Laws: each approval that is given comes back exactly once; deterministic, whatever the order; O(n log n); what is odd is
not among `alike`, and where too much differs `not_together` says so: no answer to many covers either.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.approval.comparing import HOLDERS_MIN, SHARE, compared, value_text
from answerable.core.approval.features import Nothing, is_where, label_of, noted_of, rest_that_differs
from answerable.core.approval.visible import visible
from answerable.core.canonical import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from answerable.core.approval.approval import Approval, ApprovalId
    from answerable.core.approval.comparing import Column, Reading
    from answerable.core.approval.features import Features, Value
    from answerable.core.canonical import JSONValue

GROUP_MIN: Final = HOLDERS_MIN
"""Fewer are no group."""
COLUMNS_MAX: Final = 6
"""Leaves that may differ among those that one signature covers: what still fits beside one another."""
CELL_CHARS_MAX: Final = 120
"""Of a text that differs in each, for the same reason: nobody reads many long ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """A leaf that is not the same in all that are alike. pointer: its place, as in `features`. label: for people, one
    line."""

    pointer: str
    label: str
    reading: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """One that differs, and in what, in words."""

    approval: Approval
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """alike: soonest to end first. odd: with reasons, one at least each. differs: what is not the same in `alike`.
    cells: what each of those has there, one text for each of `differs`. not_together: why no one signature says yes to
    `alike`; empty where one may."""

    id: str
    alike: tuple[Approval, ...]
    odd: tuple[Odd, ...]
    differs: tuple[Differing, ...]
    cells: dict[ApprovalId, tuple[str, ...]]
    not_together: str

    @property
    def all(self) -> tuple[Approval, ...]:
        """The odd ones first."""
        return (*(one.approval for one in self.odd), *self.alike)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """groups, and those that stand alone; both in a fixed order."""

    groups: tuple[Group, ...]
    alone: tuple[Approval, ...]


NOBODY: Final = Grouped(groups=(), alone=())


def grouped(waiting: Iterable[Approval], features_of: Callable[[Approval], Features | None]) -> Grouped:
    """Groups of these. features_of: as in `features`, or one that keeps them. Never raises."""
    families: dict[tuple[str, str, str], dict[str, list[tuple[Approval, Features]]]] = {}
    alone: list[Approval] = []
    for approval in sorted(waiting, key=lambda one: (one.expires_at, one.id)):
        features = features_of(approval)
        if features is None:
            alone.append(approval)
        else:
            families.setdefault(features.family, {}).setdefault(features.rest, []).append(
                (approval, features)
            )
    groups: list[Group] = []
    for family, parts in sorted(families.items()):
        for rest, own, others in _attached(parts, alone):
            groups.append(_group([*family, rest], own, others))
    return Grouped(groups=tuple(groups), alone=tuple(alone))


_Part = list[tuple["Approval", "Features"]]


def _attached(parts: dict[str, _Part], alone: list[Approval]) -> Iterator[tuple[str, _Part, list[Approval]]]:
    """Each part that is large enough for a group, with those that are like it but for what must be the same. Of them
    only so few that they are odd: more stand alone, where each is seen by itself."""
    large = sorted(
        (rest for rest in parts if len(parts[rest]) >= GROUP_MIN), key=lambda one: (-len(parts[one]), one)
    )
    small = [approval for rest in sorted(parts) if rest not in large for approval, _ in parts[rest]]
    few = large and len(small) <= _odd_max(len(parts[large[0]]))
    if not few:
        alone.extend(small)
        small = []
    for rest in large:
        yield rest, parts[rest], small if rest == large[0] else []


def _group(name: list[JSONValue], own: _Part, others: Sequence[Approval]) -> Group:
    columns: dict[str, Column] = {}
    odd: dict[int, list[str]] = {}
    for where in sorted({where for _, features in own for where in features.leaves}):
        columns[where] = compared([features.leaves.get(where, Nothing.ABSENT) for _, features in own])
        for at, why in columns[where].odd.items():
            odd.setdefault(at, []).append(f"{label_of(where)}: {why}")
    for at, (approval, _) in enumerate(own):
        for noted in noted_of(approval):
            odd.setdefault(at, []).append(visible(noted))
    apart = [Odd(approval=one, because=_other_rest(one, own[0][0])) for one in others]
    apart += [Odd(approval=own[at][0], because=tuple(odd[at])) for at in sorted(odd)]
    alike = [one for at, one in enumerate(own) if at not in odd]
    differs = tuple(
        Differing(pointer=where, label=label_of(where), reading=column.reading)
        for where, column in columns.items()
        if len({_known(features, where) for _, features in alike}) > 1
    )
    return Group(
        id=sha256(encode(name)).hexdigest()[:32],
        alike=tuple(approval for approval, _ in alike),
        odd=tuple(apart),
        differs=differs,
        cells={
            approval.id: tuple(_cell(features.leaves.get(one.pointer, Nothing.ABSENT)) for one in differs)
            for approval, features in alike
        },
        not_together=_not_together(alike, len(apart), differs, columns),
    )


def _not_together(alike: _Part, odd: int, differs: Sequence[Differing], columns: dict[str, Column]) -> str:
    if len(alike) < GROUP_MIN:
        return f"fewer than {GROUP_MIN} of them are alike"
    if odd > _odd_max(len(alike) + odd):
        return f"too much differs: {odd} of {len(alike) + odd} are unlike the others"
    for one in differs:
        if is_where(one.pointer, {features.leaves.get(one.pointer, Nothing.ABSENT) for _, features in alike}):
            return f"they do not all go to the same place: {one.label} differs"
        if one.reading == "several":
            return f"{one.label} is not of one kind in all"
        if columns[one.pointer].longest > CELL_CHARS_MAX:
            return f"{one.label} is too long to be read for many at once"
    if len(differs) > COLUMNS_MAX:
        return f"{len(differs)} things differ in them, which is more than can be read for many at once"
    return ""


def _odd_max(size: int) -> int:
    return max(1, size // SHARE)


def _known(features: Features, pointer: str) -> tuple[type, object]:
    value = features.leaves.get(pointer, Nothing.ABSENT)
    return type(value), value


def _other_rest(one: Approval, usual: Approval) -> tuple[str, ...]:
    words = {
        "effects": "what the capability is said to do",
        "tool": "the tool's definition",
        "rules": "the rules that ask",
    }
    names = rest_that_differs(one, usual)
    return tuple(f"{words.get(name, name)}: not as in the others" for name in names)


def _cell(value: Value) -> str:
    text = value_text(value)
    return visible(text) if len(text) <= CELL_CHARS_MAX else f"{visible(text[:CELL_CHARS_MAX])}…"
