"""Find which members of the context a policy reads, so that a request carries only those (1.6 µs a member).

Two further transformations keep requests small. Facts of the capability, which are constant in a slice, are written
into its policies as literals. Members of records are sent as separate attributes, since a record costs as much as three
members. The differential test of slices against the whole set proves that the answers stay the same.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.canonical import JSONValue

_CONTEXT: Final = {"Var": "context"}
_RESOURCE: Final = {"Var": "resource"}
# By comparison of a name with a number: where numbers begin, counted from that one, for which it says something else.
_STEPS: Final = {"<": (0,), "<=": (1,), ">": (1,), ">=": (0,), "==": (0, 1), "!=": (0, 1)}
_TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldApart:
    """What conditions tell apart in one name: each of these texts from all others, and numbers on either side of a
    step. steps: ascending."""

    texts: frozenset[str]
    steps: tuple[int, ...]

    def of(self, value: object) -> object:
        """Return what stands for this value and for all that no condition tells apart from it."""
        if type(value) is str:
            return value if value in self.texts else 0
        return bisect_right(self.steps, value) if type(value) is int else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentions:
    """The parts of the context that a policy reads.

    everything: the context is used as a whole.
    paths: `(member,)` for a member used as a whole, `(member, inner)` for one name inside it.
    resource: whether the resource, which is no part of the context, is read.
    compared: names inside members, each with a text that it is compared with, or a number at which a comparison begins
    to say something else. free: names inside members that are read in any other way than to compare them with a text or
    a number, or to ask whether they are there.
    """

    everything: bool = False
    paths: frozenset[tuple[str, ...]] = frozenset()
    resource: bool = False
    compared: frozenset[tuple[tuple[str, ...], str | int]] = frozenset()
    free: frozenset[tuple[str, ...]] = frozenset()

    def joined(self, other: Mentions) -> Mentions:
        """Return the union of both."""
        return Mentions(
            everything=self.everything or other.everything,
            paths=self.paths | other.paths,
            resource=self.resource or other.resource,
            compared=self.compared | other.compared,
            free=self.free | other.free,
        )

    def told_apart(self, member: str, name: str) -> ToldApart | None:
        """Return what conditions tell apart in this name; None if they may tell any two values apart."""
        if self.inside(member) is None or (member, name) in self.free:
            return None
        found = [one for path, one in self.compared if path == (member, name)]
        return ToldApart(
            texts=frozenset(one for one in found if isinstance(one, str)),
            steps=tuple(sorted(one for one in found if isinstance(one, int))),
        )

    def inside(self, member: str) -> frozenset[str] | None:
        """Return the names that are read inside a member; None if the member is used as a whole."""
        if self.everything or (member,) in self.paths:
            return None
        return frozenset(path[1] for path in self.paths if len(path) == 2 and path[0] == member)


def mentions_of(conditions: object) -> Mentions:
    """Collect the mentions in the conditions of one policy in Cedar's JSON form. Any unknown expression counts as using
    everything.

    Over-approximates: an access counts as partial only if it is a plain chain of attributes on `context`.
    """
    everything = resource = False
    paths: set[tuple[str, ...]] = set()
    compared: set[tuple[tuple[str, ...], str | int]] = set()
    free: set[tuple[str, ...]] = set()
    pending: list[object] = [conditions]
    while pending:
        node = pending.pop()
        if (comparison := _compared(node)) is not None:
            name, found = comparison
            compared.update((name, one) for one in found)
            paths.add(name)
            continue
        path = _path(node)
        if path == ():
            everything = True
        elif path is not None:
            paths.add(path[:2])
            if len(path) != 2 or not isinstance(node, dict) or "has" not in node:
                free.add(path[:2])
        elif isinstance(node, dict):
            resource = resource or node == _RESOURCE
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
    return Mentions(
        everything=everything,
        paths=frozenset(paths),
        resource=resource,
        compared=frozenset(compared),
        free=frozenset(free),
    )


def _compared(node: object) -> tuple[tuple[str, ...], tuple[str | int, ...]] | None:
    """Return the path, and the text or the steps of the numbers, if the node compares `context.a.b` with a text (`==`,
    `!=`) or a whole number, in either order; None for anything else."""
    if not isinstance(node, dict) or len(node) != 1:
        return None
    [(operator, sides)] = node.items()
    match sides:
        case {"left": left, "right": right} if operator in _STEPS:
            pass
        case _:
            return None
    for access, literal, said in ((left, right, operator), (right, left, _TURNED[operator])):
        path = _path(access)
        if path is None or len(path) != 2 or "." not in access:
            continue
        match literal:
            case {"Value": str(text)} if said in ("==", "!="):
                return path, (text,)
            case {"Value": int(number)} if type(number) is int:
                return path, tuple(number + step for step in _STEPS[said])
    return None


def _path(node: object) -> tuple[str, ...] | None:
    """Return the attribute chain if the node is `context`, `context.a.b…` or `context.a… has b`; None for anything
    else."""
    chain: list[str] = []
    while True:
        if node == _CONTEXT:
            return tuple(reversed(chain))
        match node:
            case {".": {"left": left, "attr": str(attribute)}}:
                pass
            case {"has": {"left": left, "attr": str(attribute)}} if not chain:
                pass
            case _:
                return None
        chain.append(attribute)
        node = left


def folded(node: object, *, member: str, facts: Mapping[str, JSONValue]) -> object:
    """Return the expression with each `context.<member>.<name>` replaced by its literal value. Uses of the whole
    member, and names without a fact, are unchanged."""
    match node:
        case {".": {"left": {".": {"left": {"Var": "context"}, "attr": str(owner)}}, "attr": str(name)}} if (
            owner == member and name in facts
        ):
            return {"Value": facts[name]}
        case dict():
            return {key: folded(value, member=member, facts=facts) for key, value in node.items()}
        case list():
            return [folded(value, member=member, facts=facts) for value in node]
    return node


def flattened(node: object, members: Collection[str]) -> object:
    """Return the expression with each `context.<member>.<name>` replaced by the context attribute `flat_name(member,
    name)`. members: those that no policy uses as a whole."""
    match node:
        case {".": {"left": {".": {"left": {"Var": "context"}, "attr": str(owner)}}, "attr": str(name)}} if (
            owner in members
        ):
            return {".": {"left": _CONTEXT, "attr": flat_name(owner, name)}}
        case {
            "has": {"left": {".": {"left": {"Var": "context"}, "attr": str(owner)}}, "attr": str(name)}
        } if owner in members:
            return {"has": {"left": _CONTEXT, "attr": flat_name(owner, name)}}
        case dict():
            return {key: flattened(value, members) for key, value in node.items()}
        case list():
            return [flattened(value, members) for value in node]
    return node


def flat_name(member: str, name: str) -> str:
    """Return the flattened attribute's name. It is unique, since no member of the context has a dot in its name."""
    return f"{member}.{name}"
