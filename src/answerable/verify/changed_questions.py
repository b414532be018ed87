"""Generate candidates for the smallest change to a request that would have allowed the action.

This module does not decide whether a change would help: `denial` evaluates each candidate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.core.decision.asked import AskedApproval
from answerable.core.decision.facts import Requirement
from answerable.core.decision.time_windows import lasts
from answerable.core.mandate.caveat import ArgumentAtMost, ArgumentEquals, ResourceIn
from answerable.core.mandate.mandate import Grant
from answerable.errors import shown
from answerable.verify.policy_evaluation import plain_path
from answerable.verify.report import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from answerable.core.decision.asked import Asked, AskedHold
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.documents.policy_parts import PolicyParts, TimeWindow

_MINUTE_MS: Final = 60_000
_LOOK_AHEAD_MINUTES: Final = 14 * 24 * 60
_LITERALS_MAX: Final = 64
_OTHER: Final = "another value"
_FIXED: Final = frozenset({"risk", "capability", "proof"})
"""Members that no change varies: a score follows from its factors, and the capability is the request itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The input of a decision. hops: the authority of each hop. arguments: of the frozen action. Each is None if it is
    not disclosed."""

    asked: Asked
    mandate: Mandate | None
    hops: tuple[Authority, ...] | None
    arguments: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A candidate change. rank: effort; the lower, the easier. text: completes `it would have been allowed …`. of:
    applies the change to a state."""

    rank: int
    text: str
    of: Callable[[State], State]


def mandate_changes(state: State, rule: str) -> Iterator[Change]:
    """Generate changes for a refusal by the mandate."""
    mandate, asked = state.mandate, state.asked
    if mandate is None:
        return
    for caveat in (*mandate.caveats, *(one for grant in mandate.grants for one in grant.caveats)):
        if isinstance(caveat, ResourceIn):
            yield from (_other_resource(asked, name) for name in caveat.ids)
        elif isinstance(caveat, ArgumentAtMost):
            yield _at(("arguments", caveat.name), caveat.maximum)
        elif isinstance(caveat, ArgumentEquals):
            yield _at(("arguments", caveat.name), caveat.value)
    if rule in ("mandate.expired", "mandate.not_yet"):
        inside = mandate.expires_at - 1 if rule == "mandate.expired" else mandate.not_before
        text = f"before the mandate ended, at {instant(mandate.expires_at)}"
        if rule == "mandate.not_yet":
            text = f"from the beginning of the mandate on, at {instant(mandate.not_before)}"
        yield Change(rank=4, text=text, of=lambda one: _fact(one, ("now",), inside))
    if rule == "mandate.closed":
        yield Change(
            rank=5,
            text="while the mandate was open, or under a new one like it",
            of=lambda one: replace(one, asked=msgspec.structs.replace(one.asked, mandate_state="open")),
        )
    if rule == "mandate.budget_spent":
        text = f"under a mandate of which a call is left; this one has {mandate.calls_max}, and all are used"
        yield Change(
            rank=5, text=text, of=lambda one: _fact(one, ("task", "calls_used"), mandate.calls_max - 1)
        )
    name = asked.action.id
    if rule == "mandate.capability_outside":
        granted = replace(mandate, grants=(*mandate.grants, Grant(capability=name)))
        text = f"under a mandate that also grants {shown(name)}"
        yield Change(rank=6, text=text, of=lambda one: replace(one, mandate=granted))


def hold_change(hold: AskedHold) -> Change:
    """Return the change in which the hold is lifted or has expired."""
    return Change(
        rank=3,
        text=f"once hold {shown(hold.id)} was lifted or had run out",
        of=lambda one: replace(one, asked=msgspec.structs.replace(one.asked, hold=None, rule="")),
    )


def approval_change(requirements: tuple[Requirement, ...]) -> Change:
    """Return the change in which the required people have approved."""
    most: dict[str, int] = {}
    for one in requirements:
        most[one.group] = max(most.get(one.group, 0), one.count)
    told = " and ".join(f"{count} of group {group}" for group, count in most.items())
    answered = [(group, f"somebody-{number}") for group, count in most.items() for number in range(count)]

    def approved(state: State) -> State:
        approval = AskedApproval(answered_by=answered, id="approved")
        return replace(state, asked=msgspec.structs.replace(state.asked, approval=approval))

    return Change(rank=1, text=f"once {told} had approved it", of=approved)


def policy_changes(
    state: State, policies: Iterable[Mapping[str, Any]], parts: PolicyParts | None
) -> Iterator[Change]:
    """Generate changes to the facts that the conditions of these policies read: each fact set to the literals that the
    conditions compare it with."""
    context = state.asked.context
    seen: set[tuple[tuple[str, ...], object]] = set()
    for path, literal in _comparisons([policy.get("conditions") for policy in policies]):
        for change, value in _of_fact(context, path, literal, parts):
            if (path, value) not in seen:
                seen.add((path, value))
                yield change
    if parts is not None and parts.risk:
        met = set(context.get("risk", {}).get("factors", ()))
        for factor in parts.risk:
            if factor.name in met and factor.fact == "argument" and factor.at_least is not None:
                yield _at(("arguments", factor.of), factor.at_least - 1)


def _of_fact(
    context: Mapping[str, Any], path: tuple[str, ...], literal: object, parts: PolicyParts | None
) -> Iterator[tuple[Change, object]]:
    member = path[0]
    if member in _FIXED or len(path) > 2:
        return
    now = _value(context, path)
    if member == "windows" and parts is not None:
        for window in parts.windows:
            if window.name == path[-1] and (change := _other_time(context, window)) is not None:
                yield change, "other time"
    elif member == "destination" and path[-1:] == ("class",):
        names = [one.name for one in parts.destinations] if parts is not None else []
        for name in names:
            if name != now:
                yield _other_destination(name), name
    elif type(now) is bool:
        yield _at(path, not now), not now
    elif type(literal) is int and (now is None or type(now) is int):
        for value in (literal, literal - 1, literal + 1):
            if value != now:
                yield _at(path, value), value
    elif isinstance(literal, str) and (now is None or isinstance(now, str)) and literal != now:
        yield _at(path, literal), literal
    elif isinstance(now, str) and member == "arguments":
        yield _other_value(path[-1], now), _OTHER
    elif isinstance(now, list) and isinstance(literal, str) and member == "arguments":
        yield _with_member(path[-1], now, literal), f"{_OTHER} {literal}"


_RANKS: Final = {"arguments": 2, "destination": 3, "now": 4, "budget": 5, "task": 5}
_SAID: Final = {
    "arguments": "with argument {name} at {value}",
    "agent": "by an agent whose {name} is {value}",
    "budget": "with {name} at {value} in the budget",
    "chain": "handed on otherwise: with {name} at {value}",
    "history": "with tracker {name} at {value}",
    "task": "under a mandate with {name} at {value}",
}


def _at(path: tuple[str, ...], value: object) -> Change:
    template = _SAID.get(path[0], "with context." + path[0] + " {name} at {value}")
    told = str(value).lower() if isinstance(value, bool) else shown(value)
    return Change(
        rank=_RANKS.get(path[0], 6),
        text=template.format(name=shown(path[-1]), value=told),
        of=lambda state: _fact(state, path, value),
    )


def _other_value(name: str, now: str) -> Change:
    """Set an argument to a text that no policy names. This finds denials by a `forbid` on a text or a text pattern."""

    def moved(state: State) -> State:
        if now == state.asked.resource.id:
            # This argument names the resource, so another value means another resource.
            return _other_resource(state.asked, _OTHER).of(state)
        return _fact(state, ("arguments", name), _OTHER)

    return Change(
        rank=_RANKS["arguments"],
        text=f"with argument {shown(name)} at another value than {shown(now)}",
        of=moved,
    )


def _with_member(name: str, now: list[Any], member: str) -> Change:
    """Add a text to an argument that is a list of texts, or remove it."""
    has = member in now
    value = [one for one in now if one != member] if has else [*now, member]
    text = f"{'without' if has else 'with'} {shown(member)} in argument {shown(name)}"
    return Change(
        rank=_RANKS["arguments"], text=text, of=partial(_fact, path=("arguments", name), value=value)
    )


def _other_resource(asked: Asked, name: str) -> Change:
    def moved(state: State) -> State:
        resource = msgspec.structs.replace(state.asked.resource, id=name)
        was = state.asked.resource.id
        arguments = state.arguments
        if arguments is not None:
            arguments = {key: name if value == was else value for key, value in arguments.items()}
        context = {**state.asked.context}
        told = context["arguments"]
        context["arguments"] = {key: name if value == was else value for key, value in told.items()}
        return replace(
            state,
            asked=msgspec.structs.replace(state.asked, resource=resource, context=context),
            arguments=arguments,
        )

    return Change(rank=3, text=f"on {asked.resource.type.lower()} {shown(name)}", of=moved)


def _other_destination(name: str) -> Change:
    def moved(state: State) -> State:
        sent = {**state.asked.context["destination"], "class": name, "classes": [name]}
        context = {**state.asked.context, "destination": sent}
        return replace(state, asked=msgspec.structs.replace(state.asked, context=context))

    return Change(rank=3, text=f"to a destination of class {shown(name)}", of=moved)


def _other_time(context: Mapping[str, Any], window: TimeWindow) -> Change | None:
    """Find the next minute at which the window's state differs from now. Return None if there is none within two
    weeks."""
    now = context["now"]
    lasted = lasts(window, now)
    first = now - now % _MINUTE_MS
    for count in range(1, _LOOK_AHEAD_MINUTES):
        at = first + count * _MINUTE_MS
        if lasts(window, at) != lasted:
            how = "after the end of" if lasted else "in"
            text = f"{how} window {shown(window.name)}, from {instant(at)} on"
            return Change(rank=4, text=text, of=partial(_fact, path=("now",), value=at))
    return None


def _fact(state: State, path: tuple[str, ...], value: object) -> State:
    context = {**state.asked.context}
    if len(path) == 1:
        context[path[0]] = value
    else:
        context[path[0]] = {**context.get(path[0], {}), path[1]: value}
    arguments = state.arguments
    if path[0] == "arguments" and arguments is not None:
        arguments = {**arguments, path[1]: value}
    return replace(state, asked=msgspec.structs.replace(state.asked, context=context), arguments=arguments)


def _value(context: Mapping[str, Any], path: tuple[str, ...]) -> object:
    value: Any = context
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _comparisons(conditions: object) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield every fact that the conditions read, with each literal that they compare it with; None if they compare it
    with no literal."""
    pending: list[object] = [conditions]
    found = 0
    while pending and found < _LITERALS_MAX:
        node = pending.pop(0)
        if isinstance(node, list):
            pending.extend(node)
        if not isinstance(node, dict):
            continue
        path = plain_path(node)
        if path:
            found += 1
            yield tuple(path), None
            continue
        for inner in node.values():
            if isinstance(inner, dict) and {"left", "right"} <= inner.keys():
                for one, other in ((inner["left"], inner["right"]), (inner["right"], inner["left"])):
                    named = plain_path(one) if isinstance(one, dict) else []
                    for literal in _literals(other) if named else ():
                        found += 1
                        yield tuple(named), literal
            pending.append(inner)


def _literals(node: object) -> list[object]:
    if not isinstance(node, dict):
        return []
    if "Value" in node:
        return [node["Value"]]
    members = node.get("Set")
    return [one["Value"] for one in members if "Value" in one] if isinstance(members, list) else []
