"""Which parts of the context a policy looks at, so that a decision carries only those (1.6 µs a member).

What is the same in every call of a slice, the facts of its capability, is written into the policies instead, and what
is in a record is sent beside it, for each record costs as much as three members: the answers are the same, as the
differential test of slices against the whole set shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.canonical import JSONValue

_CONTEXT: Final = {"Var": "context"}
_RESOURCE: Final = {"Var": "resource"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentions:
    """paths: `(member,)` for a member used whole, `(member, inner)` for one inside it. everything: context itself.
    resource: whether the resource is looked at, which is no part of the context."""

    everything: bool = False
    paths: frozenset[tuple[str, ...]] = frozenset()
    resource: bool = False

    def joined(self, other: Mentions) -> Mentions:
        """What either mentions."""
        return Mentions(
            everything=self.everything or other.everything,
            paths=self.paths | other.paths,
            resource=self.resource or other.resource,
        )

    def inside(self, member: str) -> frozenset[str] | None:
        """The names used inside a member; None when it is used whole."""
        if self.everything or (member,) in self.paths:
            return None
        return frozenset(path[1] for path in self.paths if len(path) == 2 and path[0] == member)


def mentions_of(conditions: object) -> Mentions:
    """Walk the conditions of one policy in Cedar's JSON form; whatever is not understood counts as everything.

    Errs to more: an access is taken as partial only when it is a plain chain of attributes on `context`.
    """
    everything = resource = False
    paths: set[tuple[str, ...]] = set()
    pending: list[object] = [conditions]
    while pending:
        node = pending.pop()
        path = _path(node)
        if path == ():
            everything = True
        elif path is not None:
            paths.add(path[:2])
        elif isinstance(node, dict):
            resource = resource or node == _RESOURCE
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
    return Mentions(everything=everything, paths=frozenset(paths), resource=resource)


def _path(node: object) -> tuple[str, ...] | None:
    """The attribute chain if the node is `context`, `context.a.b…` or `context.a… has b`; None for anything else."""
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
    """The expression with `context.<member>.<name>` replaced by the literal that it stands for. Uses of the member as a
    whole, and names without a fact, stay as they are."""
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
    """The expression with `context.<member>.<name>` as the one attribute `flat_name` of the context, for these members,
    which no policy uses whole."""
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
    """No member of the context has a dot in its name."""
    return f"{member}.{name}"
