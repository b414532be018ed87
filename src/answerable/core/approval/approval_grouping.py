"""Group near-identical pending approvals, so that one signature can answer many, with outliers separate and listed
first.

A group has one agent, one mandate and one capability; everything that is not compared leaf by leaf, such as the tool's
definition, the chain, the rules and the groups asked, is equal for all similar ones. The few that differ there are
attached to the group as odd.

Laws: each approval passed in is returned exactly once; deterministic, independent of order and of earlier contents; O(n
log n), and a change costs only what it affects; outliers are not in `alike`, and where too much differs `not_together`
says so: no batch answer covers either.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.action.secret_names import is_secret
from answerable.core.approval.comparing import HOLDERS_MIN, SHARE, value_text
from answerable.core.approval.credentials import text_without_credentials, without_credentials
from answerable.core.approval.features import Nothing, is_where, label_of, rest_that_differs
from answerable.core.approval.part import Part, when
from answerable.core.approval.visible import visible
from answerable.core.canonical import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from answerable.core.approval.approval import Approval, ApprovalId
    from answerable.core.approval.comparing import Reading
    from answerable.core.approval.features import Features, Value
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis

GROUP_MIN: Final = HOLDERS_MIN
"""Fewer approvals form no group."""
COLUMNS_MAX: Final = 6
"""Maximum number of leaves that may differ among approvals covered by one signature: as many as fit side by side."""
CELL_CHARS_MAX: Final = 120
"""Maximum length of a text that differs in each, for the same reason: nobody reads many long ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """A leaf that is not equal in all similar approvals. pointer: its place, as in `features`. label: human-readable,
    one line."""

    pointer: str
    label: str
    reading: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """An approval that differs, and in what, in words."""

    approval: Approval
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of similar pending approvals. alike: soonest to expire first. odd: with at least one reason each.
    differs: the leaves that are not equal in `alike`. features: of each of those. not_together: why no single signature
    may approve `alike`; empty where one may."""

    id: str
    alike: tuple[Approval, ...]
    odd: tuple[Odd, ...]
    differs: tuple[Differing, ...]
    features: dict[ApprovalId, Features]
    not_together: str

    @property
    def all(self) -> tuple[Approval, ...]:
        """All approvals of the group, the odd ones first."""
        return (*(one.approval for one in self.odd), *self.alike)

    @property
    def size(self) -> int:
        """Number of approvals in the group."""
        return len(self.odd) + len(self.alike)

    @property
    def first(self) -> Approval:
        """The approval to review first."""
        return self.odd[0].approval if self.odd else self.alike[0]

    @property
    def ends(self) -> UnixMillis:
        """When the first approval of the group expires."""
        return min(one.expires_at for one in (*(one.approval for one in self.odd), *self.alike[:1]))

    def cells(self, approval: ApprovalId) -> tuple[str, ...]:
        """Return the values of a similar approval, a text for each of `differs`."""
        leaves = self.features[approval].leaves
        return tuple(
            _cell(leaves.get(one.pointer, Nothing.ABSENT), where=one.pointer, question=approval)
            for one in self.differs
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """Groups, and the approvals outside any group; both in a fixed order."""

    groups: tuple[Group, ...]
    alone: tuple[Approval, ...]


def grouped(waiting: Iterable[Approval], features_of: Callable[[Approval], Features | None]) -> Grouped:
    """Group these approvals. features_of: as in `features`, or a caching version. Never raises."""
    gathered = Gathered()
    for approval in waiting:
        gathered.add(approval, features_of(approval))
    return gathered.grouped()


class Gathered:
    """Pending approvals added and removed one by one, grouped at any time as if all had been added at once."""

    def __init__(self) -> None:
        self._kept: dict[ApprovalId, tuple[Approval, Features | None]] = {}
        self._families: dict[tuple[str, str, str], _Family] = {}
        self._grouped: Grouped | None = None

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def kept(self) -> Mapping[ApprovalId, tuple[Approval, Features | None]]:
        """Each approval, and the features by which it is compared."""
        return self._kept

    def add(self, approval: Approval, features: Features | None) -> None:
        """Add a new approval. features: None for one that must not be grouped."""
        self._grouped = None
        self._kept[approval.id] = approval, features
        if features is not None:
            family = self._families.get(features.family)
            if family is None:
                family = self._families[features.family] = _Family([*features.family])
            family.add(approval, features)

    def remove(self, name: ApprovalId) -> None:
        """Remove an approval that was added before."""
        self._grouped = None
        _, features = self._kept.pop(name)
        if features is not None:
            family = self._families[features.family]
            family.remove(name, features)
            if not family.parts:
                del self._families[features.family]

    def grouped(self) -> Grouped:
        """Return the current groups."""
        if self._grouped is None:
            alone = [approval for approval, features in self._kept.values() if features is None]
            groups: list[Group] = []
            for _, family in sorted(self._families.items()):
                found = family.grouped()
                groups.extend(found.groups)
                alone.extend(found.alone)
            alone.sort(key=when)
            self._grouped = Grouped(groups=tuple(groups), alone=tuple(alone))
        return self._grouped


class _Family:
    """Approvals of one agent, mandate and capability, split into parts with equal non-varying features."""

    __slots__ = ("_grouped", "_name", "parts")

    def __init__(self, name: list[JSONValue]) -> None:
        self._name = name
        self.parts: dict[str, Part] = {}
        self._grouped: Grouped | None = None

    def add(self, approval: Approval, features: Features) -> None:
        self._grouped = None
        part = self.parts.get(features.rest)
        if part is None:
            part = self.parts[features.rest] = Part()
        part.add(approval, features)

    def remove(self, name: ApprovalId, features: Features) -> None:
        self._grouped = None
        part = self.parts[features.rest]
        part.remove(name)
        if not part.size:
            del self.parts[features.rest]

    def grouped(self) -> Grouped:
        if self._grouped is None:
            self._grouped = self._anew()
        return self._grouped

    def _anew(self) -> Grouped:
        """Build a group of each part that is large enough; the largest also gets those that differ only in non-varying
        features. If these are too many to be outliers, they stay ungrouped, where each is reviewed individually."""
        large = sorted(
            (rest for rest, part in self.parts.items() if part.size >= GROUP_MIN),
            key=lambda one: (-self.parts[one].size, one),
        )
        small = [
            approval
            for rest in sorted(self.parts.keys() - {*large})
            for approval, _ in self.parts[rest].in_order
        ]
        few = bool(large) and len(small) <= _odd_max(self.parts[large[0]].size)
        groups = [
            _group([*self._name, rest], self.parts[rest], small if few and rest == large[0] else [])
            for rest in large
        ]
        return Grouped(groups=tuple(groups), alone=() if few else tuple(small))


def _group(name: list[JSONValue], part: Part, others: Sequence[Approval]) -> Group:
    own = part.in_order
    because = part.odd()
    apart = [Odd(approval=one, because=_other_rest(one, own[0][0])) for one in others]
    alike = own
    if because:
        apart += [
            Odd(approval=one, because=tuple(map(text_without_credentials, because[one.id])))
            for one, _ in own
            if one.id in because
        ]
        alike = [(one, features) for one, features in own if one.id not in because]
    left = {where: values for where in part.places if len(values := part.left(where, because)) > 1}
    differs = tuple(
        Differing(pointer=where, label=label_of(where), reading=part.column(where).reading) for where in left
    )
    return Group(
        id=sha256(encode(name)).hexdigest()[:32],
        alike=tuple(approval for approval, _ in alike),
        odd=tuple(apart),
        differs=differs,
        features={approval.id: features for approval, features in alike},
        not_together=_not_together(part, len(alike), len(apart), {one: left[one.pointer] for one in differs}),
    )


def _not_together(part: Part, alike: int, odd: int, differs: Mapping[Differing, Collection[Value]]) -> str:
    if alike < GROUP_MIN:
        return f"fewer than {GROUP_MIN} of them are alike"
    if odd > _odd_max(alike + odd):
        return f"too much differs: {odd} of {alike + odd} are unlike the others"
    for one, values in differs.items():
        if is_where(one.pointer) or part.any_goes(one.pointer, values):
            return f"they do not all go to the same place: {one.label} differs"
        if one.reading == "several":
            return f"{one.label} is not of one kind in all"
        if part.column(one.pointer).longest > CELL_CHARS_MAX:
            return f"{one.label} is too long to be read for many at once"
    if len(differs) > COLUMNS_MAX:
        return f"{len(differs)} things differ in them, which is more than can be read for many at once"
    return ""


def _odd_max(size: int) -> int:
    return max(1, size // SHARE)


def _other_rest(one: Approval, usual: Approval) -> tuple[str, ...]:
    words = {
        "effects": "what the capability is said to do",
        "tool": "the tool's definition",
        "rules": "the rules that ask",
    }
    names = rest_that_differs(one, usual)
    return tuple(f"{words.get(name, name)}: not as in the others" for name in names)


def _cell(value: Value, *, where: str, question: str) -> str:
    text = value_text(value)
    names = where.split("/")[2:] if where.startswith("/arguments/") else []
    told = value if isinstance(value, int) else text
    for name in names:
        if is_secret(name, told):
            # In the same form as on the card.
            shown = without_credentials({name: text}, question=question, named=True)
            text = str(shown[name]) if isinstance(shown, dict) else ""
            break
    text = text_without_credentials(text)
    return visible(text) if len(text) <= CELL_CHARS_MAX else f"{visible(text[:CELL_CHARS_MAX])}…"
