"""Typed constraints of Agent Delegation Chain: each is one bound on one fact of an action.

| type           | holds when                                                                             |
|----------------|----------------------------------------------------------------------------------------|
| `max`, `min`   | the fact is a whole number, at most or at least this                                   |
| `one_of`       | the fact is exactly one of these                                                       |
| `not_one_of`   | the fact is text, number or truth value, and none of these in any spelling             |
| `prefix`       | the fact is text under this prefix at a segment boundary, and cannot be misread        |
| `rank`         | the fact is in `order`, not after `rank`                                               |
| `max_lifetime` | the sum over the hop's own actions is at most this; the caller keeps the sum           |
| `max_subtree`  | the sum over the actions of the hop and of all hops below is at most this; likewise    |

Laws: `covers` is an order: what a constraint lets pass, every constraint that covers it lets pass too; a fact that is
missing or of another kind never passes; an unknown type lets nothing pass and covers only an identical constraint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from answerable.core.canonical import INTEGER_MAX, JSONValue, encode, parse
from answerable.core.mandate import delegation_terms as terms
from answerable.core.mandate.resource_name import folded, lies_under, trick_in
from answerable.errors import shown
from answerable.errors.codes.mandate import DELEGATION_MALFORMED, DELEGATION_NOTHING_IN_COMMON

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Scalar: TypeAlias = str | int | bool
"""A fact of an action: text, a whole number or a truth value."""

KEY_CHARS_MAX: Final = 256
TEXT_CHARS_MAX: Final = 1024
MEMBERS_MAX: Final = 256
ORDER_MAX: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Max:
    """`max`: an upper bound for each action."""

    key: str
    bound: int | float
    type: ClassVar[str] = terms.MAX

    def failure(self, fact: JSONValue) -> str | None:
        """Return why the fact does not pass, as words that follow the fact's name, or None if it passes."""
        return None if type(fact) is int and fact <= self.bound else f"up to {self.bound}, got {_got(fact)}"

    def covers(self, child: Constraint) -> bool:
        """Whether every fact that passes `child` also passes this constraint."""
        return isinstance(child, Max) and child.key == self.key and child.bound <= self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Min:
    """`min`: a lower bound for each action."""

    key: str
    bound: int | float
    type: ClassVar[str] = terms.MIN

    def failure(self, fact: JSONValue) -> str | None:
        """As Max.failure."""
        return None if type(fact) is int and fact >= self.bound else f"from {self.bound}, got {_got(fact)}"

    def covers(self, child: Constraint) -> bool:
        """As Max.covers."""
        return isinstance(child, Min) and child.key == self.key and child.bound >= self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """`one_of`: the fact is a member. Text is compared by code point: look-alikes, other cases and other Unicode
    compositions differ."""

    key: str
    members: tuple[Scalar, ...]
    type: ClassVar[str] = terms.ONE_OF

    def failure(self, fact: JSONValue) -> str | None:
        """As Max.failure."""
        return None if _within(fact, self.members) else f"{_listed(self.members)} only, got {_got(fact)}"

    def covers(self, child: Constraint) -> bool:
        """As Max.covers."""
        if not isinstance(child, OneOf) or child.key != self.key:
            return False
        return all(_within(member, self.members) for member in child.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotOneOf:
    """`not_one_of`: the fact is no member. A text that some reader could take for a banned text is banned too, since
    respelling is the usual way around a ban."""

    key: str
    members: tuple[Scalar, ...]
    type: ClassVar[str] = terms.NOT_ONE_OF

    def failure(self, fact: JSONValue) -> str | None:
        """As Max.failure."""
        if not isinstance(fact, str | int):
            return f"text, a whole number or a truth value, got {_got(fact)}"
        if isinstance(fact, str) and (trick := "escapes" if "%" in fact else trick_in(fact)) is not None:
            return f"only what cannot be misread, and {shown(fact)} has {trick}"
        banned = {_folded(member) for member in self.members}
        return f"anything but {_listed(self.members)}" if _folded(fact) in banned else None

    def covers(self, child: Constraint) -> bool:
        """As Max.covers."""
        if not isinstance(child, NotOneOf) or child.key != self.key:
            return False
        return all(_within(member, child.members) for member in self.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """`prefix`: the text lies under the prefix. A text that can be misread (`trick_in`) never passes."""

    key: str
    prefix: str
    type: ClassVar[str] = terms.PREFIX

    def failure(self, fact: JSONValue) -> str | None:
        """As Max.failure."""
        if not isinstance(fact, str):
            return f"text under {shown(self.prefix)} only, got {_got(fact)}"
        if (trick := trick_in(fact)) is not None:
            return f"only what cannot be misread, and {shown(fact)} has {trick}"
        return (
            None
            if lies_under(self.prefix, fact)
            else f"what is under {shown(self.prefix)} only, not {shown(fact)}"
        )

    def covers(self, child: Constraint) -> bool:
        """As Max.covers."""
        return isinstance(child, Prefix) and child.key == self.key and lies_under(self.prefix, child.prefix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """`rank` with its `order`, from least to most permissive: the fact is at or before `rank`."""

    key: str
    rank: str
    order: tuple[str, ...]
    type: ClassVar[str] = terms.RANK

    def failure(self, fact: JSONValue) -> str | None:
        """As Max.failure."""
        up_to = self.order[: self.order.index(self.rank) + 1]
        return None if fact in up_to else f"{shown(self.rank)} at most, got {_got(fact)}"

    def covers(self, child: Constraint) -> bool:
        """As Max.covers."""
        if not isinstance(child, Rank) or (child.key, child.order) != (self.key, self.order):
            return False
        return self.order.index(child.rank) <= self.order.index(self.rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxLifetime:
    """`max_lifetime`: a bound on a sum over the hop's own actions."""

    key: str
    bound: int | float
    type: ClassVar[str] = terms.MAX_LIFETIME

    def failure(self, fact: JSONValue) -> str | None:
        """Return a reason always: one action does not reveal the sum. The caller reserves against `limits_of`
        instead."""
        return f"{self.bound} in all, which is not counted here"

    def covers(self, child: Constraint) -> bool:
        """As Max.covers."""
        return isinstance(child, MaxLifetime) and child.key == self.key and child.bound <= self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxSubtree:
    """`max_subtree`: a bound on a sum over the hop and all hops below."""

    key: str
    bound: int | float
    type: ClassVar[str] = terms.MAX_SUBTREE

    def failure(self, fact: JSONValue) -> str | None:
        """As MaxLifetime.failure."""
        return f"{self.bound} in all, which is not counted here"

    def covers(self, child: Constraint) -> bool:
        """As Max.covers."""
        return isinstance(child, MaxSubtree) and child.key == self.key and child.bound <= self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A constraint of an unknown type, stored so that a child can repeat the constraint. canonical: the whole object as
    canonical JSON."""

    key: str
    type: str
    canonical: bytes

    def failure(self, fact: JSONValue) -> str | None:
        """Return a reason always: an unknown constraint may forbid the action."""
        return f"within a bound of the unknown type {shown(self.type, 40)}"

    def covers(self, child: Constraint) -> bool:
        """Whether `child` is identical."""
        return child == self


Constraint: TypeAlias = Max | Min | OneOf | NotOneOf | Prefix | Rank | MaxLifetime | MaxSubtree | Unknown
Cumulative: TypeAlias = MaxLifetime | MaxSubtree
TYPES: Final = (
    terms.MAX,
    terms.MIN,
    terms.ONE_OF,
    terms.NOT_ONE_OF,
    terms.PREFIX,
    terms.RANK,
    terms.MAX_LIFETIME,
    terms.MAX_SUBTREE,
)


def to_wire(constraint: Constraint) -> dict[str, JSONValue]:
    """Write `{"key", TYPE}`, and `order` beside `rank`; the inverse of `from_wire`."""
    match constraint:
        case Unknown(canonical=canonical):
            whole = parse(canonical)
            return whole if isinstance(whole, dict) else {}
        case OneOf(members=members) | NotOneOf(members=members):
            value: JSONValue = list(members)
        case Prefix(prefix=prefix):
            value = prefix
        case Rank(rank=rank, order=order):
            return {terms.CONSTRAINT_KEY: constraint.key, terms.RANK: rank, terms.ORDER: list(order)}
        case _:
            value = constraint.bound
    return {terms.CONSTRAINT_KEY: constraint.key, constraint.type: value}


def from_wire(wire: JSONValue) -> Constraint:
    """Read one constraint. The object is closed: `key`, one typed bound, and no member that the type does not have.

    An object with a single bound of an unknown type becomes `Unknown`. Raises Malformed (`delegation.malformed`).
    """
    if not isinstance(wire, dict):
        raise DELEGATION_MALFORMED("a constraint must be an object")
    key = _text(wire.get(terms.CONSTRAINT_KEY), "a constraint's `key`", KEY_CHARS_MAX)
    names = [name for name in wire if name != terms.CONSTRAINT_KEY]
    known = [name for name in names if name in TYPES]
    if not known and len(names) == 1:
        return Unknown(key=key, type=names[0], canonical=encode(wire))
    if len(known) != 1:
        raise DELEGATION_MALFORMED(f"constraint {shown(key, 60)} must have exactly one typed bound")
    kind = known[0]
    if set(names) - {kind} - ({terms.ORDER} if kind == terms.RANK else set()):
        raise DELEGATION_MALFORMED(
            f"constraint {shown(key, 60)} has members that type `{kind}` does not have"
        )
    return _READERS[kind](key, wire)


def made(constraint: Constraint) -> Constraint:
    """Return the constraint, validated by a round trip through its wire form. Raises Malformed (`delegation.malformed`,
    `json.*`)."""
    if from_wire(to_wire(constraint)) != constraint:
        raise DELEGATION_MALFORMED(
            f"constraint {shown(constraint.key, 60)} cannot be written and read back unchanged"
        )
    return constraint


def met(one: Constraint, other: Constraint) -> Constraint | None:
    """Return the widest constraint that both cover, or None if the two cannot be compared or have nothing in common."""
    if one.covers(other):
        return other
    if other.covers(one):
        return one
    if isinstance(one, OneOf) and isinstance(other, OneOf) and one.key == other.key:
        return OneOf(key=one.key, members=tuple(m for m in one.members if _within(m, other.members)))
    if isinstance(one, NotOneOf) and isinstance(other, NotOneOf) and one.key == other.key:
        more = tuple(m for m in other.members if not _within(m, one.members))
        return NotOneOf(key=one.key, members=one.members + more)
    return None


def joined(one: Constraint, other: Constraint) -> Constraint:
    """Return `met(one, other)`. Raises Malformed (`delegation.nothing_in_common`) where that is None."""
    both = met(one, other)
    if both is None:
        raise DELEGATION_NOTHING_IN_COMMON(f"no value satisfies both bounds on {shown(one.key, 60)}")
    return both


def _number(wire: Mapping[str, JSONValue], kind: str) -> int | float:
    value = wire[kind]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= INTEGER_MAX:
        raise DELEGATION_MALFORMED(f"`{kind}` must be a number of at most 2^53 - 1 either way")
    # JSON does not distinguish 5.0 from 5, so both become the same integer.
    return int(value) if value == int(value) else value


def _sum(wire: Mapping[str, JSONValue], kind: str) -> int | float:
    value = _number(wire, kind)
    if value < 0:
        raise DELEGATION_MALFORMED(f"`{kind}` must not be negative")
    return value


def _members(wire: Mapping[str, JSONValue], kind: str) -> tuple[Scalar, ...]:
    value = wire[kind]
    if not isinstance(value, list) or len(value) > MEMBERS_MAX:
        raise DELEGATION_MALFORMED(f"`{kind}` must be a list of at most {MEMBERS_MAX} values")
    members: list[Scalar] = []
    for one in value:
        if not isinstance(one, str | int) or (isinstance(one, str) and len(one) > TEXT_CHARS_MAX):
            raise DELEGATION_MALFORMED(
                f"`{kind}` holds text of at most {TEXT_CHARS_MAX} characters, whole numbers, true and false"
            )
        members.append(one)
    if len({(type(one), one) for one in members}) < len(members):
        raise DELEGATION_MALFORMED(f"`{kind}` names a value twice")
    return tuple(members)


def _prefix(key: str, wire: Mapping[str, JSONValue]) -> Prefix:
    prefix = _text(wire[terms.PREFIX], "`prefix`", TEXT_CHARS_MAX)
    if (trick := trick_in(prefix)) is not None:
        raise DELEGATION_MALFORMED(f"prefix {shown(prefix)} has {trick}, so nothing can lie under it")
    return Prefix(key=key, prefix=prefix)


def _rank(key: str, wire: Mapping[str, JSONValue]) -> Rank:
    order = wire.get(terms.ORDER)
    if not isinstance(order, list) or not 2 <= len(order) <= ORDER_MAX:
        raise DELEGATION_MALFORMED(f"`rank` needs `order`, a list of 2 to {ORDER_MAX} different texts")
    places = tuple(_text(one, "a place in `order`", KEY_CHARS_MAX) for one in order)
    rank = wire[terms.RANK]
    if len(set(places)) < len(places) or not isinstance(rank, str) or rank not in places:
        raise DELEGATION_MALFORMED("`rank` must be one of the texts in `order`, which are all different")
    return Rank(key=key, rank=rank, order=places)


_READERS: Final[Mapping[str, Callable[[str, Mapping[str, JSONValue]], Constraint]]] = {
    terms.MAX: lambda key, wire: Max(key=key, bound=_number(wire, terms.MAX)),
    terms.MIN: lambda key, wire: Min(key=key, bound=_number(wire, terms.MIN)),
    terms.ONE_OF: lambda key, wire: OneOf(key=key, members=_members(wire, terms.ONE_OF)),
    terms.NOT_ONE_OF: lambda key, wire: NotOneOf(key=key, members=_members(wire, terms.NOT_ONE_OF)),
    terms.PREFIX: _prefix,
    terms.RANK: _rank,
    terms.MAX_LIFETIME: lambda key, wire: MaxLifetime(key=key, bound=_sum(wire, terms.MAX_LIFETIME)),
    terms.MAX_SUBTREE: lambda key, wire: MaxSubtree(key=key, bound=_sum(wire, terms.MAX_SUBTREE)),
}


def _text(value: JSONValue, what: str, chars_max: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= chars_max:
        raise DELEGATION_MALFORMED(f"{what} must be text of 1 to {chars_max} characters")
    return value


def _within(fact: JSONValue, members: tuple[Scalar, ...]) -> bool:
    """Whether the fact is a member of the same type: `True == 1` in Python, but the two are different facts."""
    return any(type(fact) is type(member) and fact == member for member in members)


def _folded(fact: Scalar) -> tuple[type, Scalar]:
    return type(fact), folded(fact) if isinstance(fact, str) else fact


def _got(fact: JSONValue) -> str:
    return "nothing" if fact is None else shown(fact)


def _listed(members: tuple[Scalar, ...]) -> str:
    quoted = [shown(member, 40) for member in members[:3]]
    return (", ".join(quoted) or "nothing") + (f" and {len(members) - 3} more" if len(members) > 3 else "")
