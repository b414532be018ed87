"""Evaluate a policy set when not all facts are known: what already follows, and the conditions for the rest.

Uses Cedar's partial evaluation, which is experimental: the result is a preview for people, never a decision.

Laws: an unknown fact is a condition and takes no value; every policy that may matter is reported, with the remaining
part of its condition.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from answerable.core.decision.decision import DEFAULT_DENY
from answerable.errors import Malformed, shown
from answerable.errors.codes.policy import POLICY_UNREADABLE

with suppress(ModuleNotFoundError):
    # A `PolicyAsking` cannot be made without it, and nothing here runs without one.
    import cedarpy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.decision.decision import PolicyNote
    from answerable.verify.policy_evaluation import Named, PolicyAsking

CONDITION_CHARS_MAX: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Possible:
    """The result of a partial evaluation. effect: what follows from the known facts. by: the policies, or the rule,
    that determine the effect or may do so. conditions: sentences that state what the effect depends on; empty if
    nothing."""

    effect: Literal["allow", "deny", "depends"]
    by: tuple[str, ...]
    conditions: tuple[str, ...] = ()


def unknown(name: str) -> dict[str, Any]:
    """Return the mark for an unknown value of the context, in Cedar's JSON form. name: its path in the context."""
    return {"__extn": {"fn": "unknown", "arg": name}}


def ask_partly(
    policies: PolicyAsking,
    named: Named,
    *,
    resource_type: str,
    resource_id: str,
    context: Mapping[str, Any],
) -> Possible:
    """Evaluate a policy set with unknown facts.

    resource_id: empty if no resource is given. context: known members, and `unknown` ones. Raises Malformed
    (`policy.unreadable`) if Cedar cannot evaluate it.
    """
    request: dict[str, Any] = {
        "principal": _uid("Agent", named.agent),
        "action": _uid("Action", named.action),
        "context": dict(context),
    }
    if resource_id:
        request["resource"] = _uid(resource_type, resource_id)
    try:
        found = cedarpy.is_authorized_partial(request, policies.about(named), policies.entities(named))
    except (ValueError, TypeError) as error:
        raise _unreadable(str(error)) from None
    if found.diagnostics.errors and not found.residuals:
        raise _unreadable(str(found.diagnostics.errors[0]))
    return _weighed(policies, {name: _condition(ast) for name, ast in found.residuals.items()})


def _weighed(policies: PolicyAsking, left: Mapping[str, object]) -> Possible:
    """Weigh the policies. left: the remaining condition of each policy: True, False, or an expression."""
    permits = {name: one for name, one in left.items() if one is not False and not policies.forbids(name)}
    forbids = {name: one for name, one in left.items() if one is not False and policies.forbids(name)}
    final = tuple(
        sorted(name for name, one in forbids.items() if one is True and not policies.notes[name].liftable)
    )
    if final:
        return Possible(effect="deny", by=final)
    if not permits:
        met = tuple(sorted(name for name, one in forbids.items() if one is True))
        return Possible(effect="deny", by=(DEFAULT_DENY, *met))
    certain = tuple(sorted(name for name, one in permits.items() if one is True))
    if certain and not forbids:
        return Possible(effect="allow", by=certain)
    conditions = []
    if not certain:
        told = " or ".join(f"{_text(one)} ({name})" for name, one in sorted(permits.items()))
        conditions.append(f"if {told}")
    for name, one in sorted(forbids.items()):
        note = policies.notes[name]
        when = "in any case" if one is True else f"if {_text(one)}"
        conditions.append(f"{when}: {_effect(note)} ({name}: {note.reason})")
    return Possible(effect="depends", by=certain or tuple(sorted(permits)), conditions=tuple(conditions))


def _effect(note: PolicyNote) -> str:
    lifts = []
    if note.approve is not None:
        lifts.append(f"once {note.approve.count} of group {note.approve.group} approve")
    if note.oblige:
        lifts.append(f"with the obligations {'; '.join(note.oblige)}")
    return f"only {' and '.join(lifts)}" if lifts else "not allowed"


def _condition(ast: Mapping[str, Any]) -> object:
    """Return what remains of a policy's conditions: True, False, or one expression."""
    left: object = True
    for condition in ast.get("conditions") or ():
        body = _simplified(condition.get("body"))
        if condition.get("kind") == "unless":
            body = (not body) if isinstance(body, bool) else {"!": {"arg": body}}
        if body is False:
            return False
        if body is not True:
            left = body if left is True else {"&&": {"left": left, "right": body}}
    return left


def _simplified(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if type(node.get("Value")) is bool:
        return node["Value"]
    if "&&" in node:
        left, right = _simplified(node["&&"]["left"]), _simplified(node["&&"]["right"])
        if left is False or right is False:
            return False
        if left is True:
            return right
        return left if right is True else {"&&": {"left": left, "right": right}}
    if "unknown" in node:
        return _path(str(node["unknown"][0]["Value"]))
    return {key: _inside(value) for key, value in node.items()}


def _inside(value: Any) -> Any:
    """Simplify an operand, where a boolean literal stays a value."""
    if isinstance(value, list):
        return [_inside(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "unknown" in value or "&&" in value:
        made = _simplified(value)
        return {"Value": made} if isinstance(made, bool) else made
    return {key: _inside(inner) for key, inner in value.items()}


def _path(name: str) -> dict[str, Any]:
    if name in ("principal", "action", "resource"):
        return {"Var": name}
    node: dict[str, Any] = {"Var": "context"}
    for part in name.split("."):
        node = {".": {"left": node, "attr": part}}
    return node


def _text(condition: object) -> str:
    """Return a condition as Cedar text."""
    if condition is True:
        return "true"
    scope = {"op": "All"}
    policy = {
        "effect": "permit",
        "principal": scope,
        "action": scope,
        "resource": scope,
        "conditions": [{"kind": "when", "body": condition}],
    }
    whole = {"templates": {}, "staticPolicies": {"one": policy}, "templateLinks": []}
    try:
        text = cedarpy.policies_from_json_str(msgspec.json.encode(whole).decode())
    except ValueError:
        return "what it looks at allows"
    told = " ".join(text.partition(" when ")[2].rstrip("; \n").strip("{} ").split())
    return told[:CONDITION_CHARS_MAX]


def _uid(kind: str, name: str) -> str:
    return f"{kind}::{msgspec.json.encode(name).decode()}"


def _unreadable(why: str) -> Malformed:
    return POLICY_UNREADABLE(f"Cedar cannot evaluate what is possible: {shown(why)}")
