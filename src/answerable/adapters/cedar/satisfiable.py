"""Decide, as far as that is soundly possible, whether a condition in Cedar's JSON form can ever be true.

A condition is expanded into branches, each a list of comparisons that must all hold. Laws: "never" is answered only for
a condition that is never true; an unknown expression counts as possible; an evaluation error makes a condition not
true, so errors need no branch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias, get_args

import msgspec

from answerable.core.identity.proof.caller import ProofKind
from answerable.core.identity.workload.evidence import GRADES, Source
from answerable.core.registry.documents.capability import ActionKind, Sensitivity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Node: TypeAlias = object
"""An expression in Cedar's JSON form."""
Requirement: TypeAlias = tuple[Node, bool]
"""An expression and the truth value that it must have."""
Branch: TypeAlias = tuple[Requirement, ...]
"""Comparisons that must all hold."""
Known: TypeAlias = tuple[str, str | int | bool]
"""A literal: its sort and its value. The sort distinguishes `1` from `true`, which are equal in Python."""

BRANCHES_MAX: Final = 512
TRUE: Final[Known] = ("truth", True)
FALSE: Final[Known] = ("truth", False)

_FLIPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NEGATED: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def texts(*values: str) -> frozenset[Known]:
    """Return a domain of texts."""
    return frozenset(("text", value) for value in values)


DOMAINS: Final[Mapping[str, frozenset[Known]]] = {
    "context.agent.grade": texts(*GRADES),
    "context.agent.manifest_grade": texts("", *GRADES),
    "context.agent.source": texts(*get_args(Source)),
    "context.capability.kind": texts(*get_args(ActionKind)),
    "context.capability.sensitivity": texts(*get_args(Sensitivity)),
    "context.proof": texts(*get_args(ProofKind)),
}
"""Possible values of context members, whatever is registered."""
BOUNDS: Final[Mapping[str, tuple[int, int | None]]] = {
    "context.agent.tier": (0, 3),
    "context.budget.left_percent": (0, 100),
    "context.capability.tier": (0, 3),
    "context.chain.depth": (0, None),
    "context.now": (0, None),
    "context.risk.score": (0, None),
    "context.task.calls_max": (1, None),
    "context.task.calls_used": (0, None),
    "context.task.expires_at": (0, None),
}
_COUNTS: Final = ("context.history.", "context.budget.")
"""Prefixes of paths of numbers that are never negative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is known of the actions that a condition is evaluated for; by default nothing.

    domains: possible values of members, by path. actions: names that the action is or is in.
    resource_type: of the resource acted on.
    members: members of records, by path, each with whether it is always present; an unlisted record is unknown.
    use_cases: by agent name. bounds: least and greatest value of numbers, by path.
    """

    domains: Mapping[str, frozenset[Known]] = field(default_factory=dict)
    actions: frozenset[str] | None = None
    resource_type: str | None = None
    members: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    use_cases: Mapping[str, str] = field(default_factory=dict)
    bounds: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)


ANYWHERE: Final = Scene()


class _TooManyBranches(Exception):
    """The expansion exceeds BRANCHES_MAX."""


def is_possible(requirements: Iterable[Requirement], scene: Scene = ANYWHERE) -> bool | None:
    """Return False if the requirements can never all hold; None if there are too many branches to decide."""
    found = ways(requirements, scene)
    return None if found is None else bool(found)


def ways(requirements: Iterable[Requirement], scene: Scene = ANYWHERE) -> tuple[Branch, ...] | None:
    """Return the branches in which all requirements can hold; None if there are too many."""
    left: list[Branch] = [()]
    try:
        for node, wanted in requirements:
            found = branches(node, wanted)
            if len(left) * len(found) > BRANCHES_MAX:
                return None
            joined = ((*old, *new) for old in left for new in found)
            left = [branch for branch in joined if not _contradicts(branch, scene)]
    except _TooManyBranches:
        return None
    return tuple(left)


def exclude(ones: tuple[Branch, ...], others: tuple[Branch, ...], scene: Scene = ANYWHERE) -> bool:
    """Whether no branch of `ones` is compatible with a branch of `others`."""
    return all(_contradicts((*one, *other), scene) for one in ones for other in others)


def branches(node: Node, wanted: bool) -> list[Branch]:
    """Return the ways in which an expression can have the wanted truth value, each as comparisons that must all
    hold."""
    match node:
        case {"Value": bool(value)}:
            return [()] if value is wanted else []
        case {"like": {"pattern": [*pattern]}} if pattern and all(one == "Wildcard" for one in pattern):
            # A pattern of wildcards alone matches any text.
            return [()] if wanted else []
        case {"!": {"arg": inner}}:
            return branches(inner, not wanted)
        case {"&&": {"left": left, "right": right}}:
            return _all(left, right, wanted) if wanted else _either(left, right, wanted)
        case {"||": {"left": left, "right": right}}:
            return _either(left, right, wanted) if wanted else _all(left, right, wanted)
        case {"if-then-else": {"if": test, "then": then, "else": otherwise}}:
            return _bounded(
                _product(branches(test, True), branches(then, wanted))
                + _product(branches(test, False), branches(otherwise, wanted))
            )
    return [((node, wanted),)]


def _all(left: Node, right: Node, wanted: bool) -> list[Branch]:
    return _product(branches(left, wanted), branches(right, wanted))


def _either(left: Node, right: Node, wanted: bool) -> list[Branch]:
    return _bounded(branches(left, wanted) + branches(right, wanted))


def _product(left: list[Branch], right: list[Branch]) -> list[Branch]:
    if len(left) * len(right) > BRANCHES_MAX:
        raise _TooManyBranches
    return [(*one, *other) for one in left for other in right]


def _bounded(found: list[Branch]) -> list[Branch]:
    if len(found) > BRANCHES_MAX:
        raise _TooManyBranches
    return found


def _contradicts(branch: Branch, scene: Scene) -> bool:
    claims = _Claims(scene)
    return any(not claims.take(node, wanted) for node, wanted in branch) or not claims.hold()


class _Claims:
    """The constraints of one branch on each subject: possible values, excluded values, and bounds."""

    __slots__ = ("_allowed", "_banned", "_bounds", "_scene")

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._allowed: dict[str, frozenset[Known]] = {}
        self._banned: dict[str, frozenset[Known]] = {}
        self._bounds: dict[str, tuple[int | None, int | None]] = {}

    def take(self, node: Node, wanted: bool) -> bool:
        """Add one comparison. Return False if it cannot have the wanted truth value on its own."""
        match node:
            case {"==": {"left": left, "right": right}}:
                return self._equal(left, right, wanted)
            case {"!=": {"left": left, "right": right}}:
                return self._equal(left, right, not wanted)
            case {"contains": {"left": left, "right": right}} if (among := literals(left)) is not None:
                return self._among(right, among, wanted)
            case {"in": {"left": left, "right": right}}:
                return self._inside(node, left, right, wanted)
            case {"is": {"left": {"Var": str(who)}, "entity_type": str(kind), **rest}} if "in" not in rest:
                return self._is(node, who, kind, wanted)
            case {"has": {"left": left, "attr": str(name)}}:
                record = self._scene.members.get(path_of(left) or "")
                if record is not None and record.get(name, True):
                    # The member is always present or never, independent of the rest of the action.
                    return wanted is (name in record)
            case dict() if len(node) == 1 and (order := next(iter(node))) in _FLIPPED:
                match node[order]:
                    case {"left": left, "right": right}:
                        return self._ordered(node, order, left, right, wanted)
        self._restrict(_key(node), frozenset((TRUE,)), wanted)
        return True

    def hold(self) -> bool:
        """Whether every subject still has a possible value."""
        return all(self._is_left(subject) for subject in (*self._allowed, *self._banned, *self._bounds))

    def _is_left(self, subject: str) -> bool:
        usual = BOUNDS.get(subject, (0 if subject.startswith(_COUNTS) else None, None))
        low, high = self._bounds.get(subject, (None, None))
        for least, most in (usual, self._scene.bounds.get(subject, (None, None))):
            low, high = _larger(low, least), _smaller(high, most)
        banned = self._banned.get(subject, frozenset())
        domains = [
            one
            for one in (self._allowed.get(subject), self._scene.domains.get(subject), DOMAINS.get(subject))
            if one is not None
        ]
        if domains:
            left = frozenset.intersection(*domains) - banned
            return any(sort != "number" or _between(value, low, high) for sort, value in left)
        if low is None or high is None:
            return True
        if high - low >= len(banned):
            return low <= high
        return any(("number", value) not in banned for value in range(low, high + 1))

    def _restrict(self, subject: str, values: frozenset[Known], keep: bool) -> None:
        if not keep and values and values <= {TRUE, FALSE}:
            values, keep = frozenset((TRUE, FALSE)) - values, True
        if keep:
            known = self._allowed.get(subject)
            self._allowed[subject] = values if known is None else known & values
        else:
            self._banned[subject] = self._banned.get(subject, frozenset()) | values

    def _equal(self, left: Node, right: Node, wanted: bool) -> bool:
        one, other = literal(left), literal(right)
        if one is not None and other is not None:
            return (one == other) is wanted
        if other is not None:
            return self._among(left, frozenset((other,)), wanted)
        if one is not None:
            return self._among(right, frozenset((one,)), wanted)
        if _key(left) == _key(right):
            return wanted
        self._restrict(_key({"==": {"left": left, "right": right}}), frozenset((TRUE,)), wanted)
        return True

    def _among(self, subject: Node, values: frozenset[Known], wanted: bool) -> bool:
        known = literal(subject)
        if known is not None:
            return (known in values) is wanted
        self._restrict(_key(subject), values, wanted)
        if wanted and subject == {"Var": "principal"}:
            self._note_use_cases(values)
        if subject == {"Var": "action"} and self._scene.actions is not None:
            # `==` matches only the action itself; its kind is a parent, matched by `in`.
            own = self._scene.actions.difference(get_args(ActionKind))
            return any(_named(value, "Action") in own for value in values) is wanted
        return True

    def _inside(self, node: Node, left: Node, right: Node, wanted: bool) -> bool:
        one = literal(right)
        among = frozenset((one,)) if one is not None else literals(right)
        sorts = {str(value).partition("::")[0] for _, value in among or ()}
        match left:
            case {"Var": "action"} if among is not None and self._scene.actions is not None:
                return any(_named(value, "Action") in self._scene.actions for value in among) is wanted
            case {"Var": "principal"} if among and sorts == {"UseCase"}:
                self._restrict("principal in", among, wanted)
                return True
            case {"Var": "principal"} if among and sorts == {"Agent"}:
                return self._among(left, among, wanted)
            case {"Var": "resource"} if among and not sorts & {"Agent", "UseCase", "Action"}:
                return self._among(left, among, wanted)
        self._restrict(_key(node), frozenset((TRUE,)), wanted)
        return True

    def _is(self, node: Node, who: str, kind: str, wanted: bool) -> bool:
        sort = {"principal": "Agent", "action": "Action", "resource": self._scene.resource_type}.get(who)
        if sort is not None:
            return (kind == sort) is wanted
        self._restrict(_key(node), frozenset((TRUE,)), wanted)
        return True

    def _ordered(self, node: Node, order: str, left: Node, right: Node, wanted: bool) -> bool:
        one, other = literal(left), literal(right)
        if one is not None and other is None:
            one, other, left, order = other, one, right, _FLIPPED[order]
        if other is None or other[0] != "number" or (one is not None and one[0] != "number"):
            self._restrict(_key(node), frozenset((TRUE,)), wanted)
            return True
        number = int(other[1])
        order = order if wanted else _NEGATED[order]
        low = {">": number + 1, ">=": number}.get(order)
        high = {"<": number - 1, "<=": number}.get(order)
        if one is not None:
            return _between(one[1], low, high)
        subject = _key(left)
        old_low, old_high = self._bounds.get(subject, (None, None))
        self._bounds[subject] = (_larger(low, old_low), _smaller(high, old_high))
        return True

    def _note_use_cases(self, agents: frozenset[Known]) -> None:
        """Restrict the use case to those of the agents: each agent is in exactly one."""
        names = [_named(value, "Agent") for value in agents]
        if all(name in self._scene.use_cases for name in names):
            cases = frozenset(
                ("entity", f"UseCase::{self._scene.use_cases[name]}") for name in names if name is not None
            )
            self._restrict("principal in", cases, True)


def literal(node: Node) -> Known | None:
    """Return the value of a literal; None for anything else."""
    match node:
        case {"Value": bool(value)}:
            return "truth", value
        case {"Value": int(value)}:
            return "number", value
        case {"Value": str(value)}:
            return "text", value
        case {"Value": {"__entity": {"type": str(kind), "id": str(name)}}}:
            return "entity", f"{kind}::{name}"
        case {"neg": {"arg": {"Value": int(value)}}} if not isinstance(value, bool):
            return "number", -value
    return None


def literals(node: Node) -> frozenset[Known] | None:
    """Return the members of a set literal; None for anything else."""
    match node:
        case {"Set": [*members]}:
            found = [literal(member) for member in members]
        case {"Value": [*values]}:
            found = [literal({"Value": value}) for value in values]
        case _:
            return None
    known = frozenset(one for one in found if one is not None)
    return known if all(one is not None for one in found) else None


def path_of(node: Node) -> str | None:
    """Return `context.a.b` for a plain chain of attributes on a variable; None for anything else."""
    chain: list[str] = []
    while True:
        match node:
            case {"Var": str(name)}:
                return ".".join((name, *reversed(chain)))
            case {".": {"left": left, "attr": str(attribute)}} if "." not in attribute:
                chain.append(attribute)
                node = left
            case _:
                return None


def _key(node: Node) -> str:
    return path_of(node) or msgspec.json.encode(node, order="sorted").decode()


def _named(value: Known, kind: str) -> str | None:
    sort, text = value
    written, _, name = str(text).partition("::")
    return name if sort == "entity" and written == kind else None


def _between(value: object, low: int | None, high: int | None) -> bool:
    return isinstance(value, int) and (low is None or low <= value) and (high is None or value <= high)


def _larger(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)


def _smaller(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)
