"""The action object: everything verified about a deferred action, as one frozen value that people see and sign.

It is the envelope `{"iss": ledger origin, "typ": "answerable-action", "value": object}`; its SHA-256 is the **action
hash**. Nothing in it is an unverified claim of the agent, except the arguments that will be sent.

Laws: the same verified action, deferred by the same rules, gives the same value except for its id, times and policy-set
digest; `changed_since` names any other difference. Model: dynamic linking of payments (Delegated Regulation (EU)
2018/389, article 5), applied to every action.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from answerable.core.canonical import FrozenJSON, freeze, parse
from answerable.errors.codes.approval import APPROVAL_OBJECT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.action.request import VerifiedRequest
    from answerable.core.canonical import JSONValue
    from answerable.core.decision.decision import Decision
    from answerable.core.identity.names.principal import UnixMillis

ACTION_TYP: Final = "answerable-action"
VERSION: Final = 1
ASKED_FOR: Final = "what was asked for"
"""The words with which `changed_since` reports that policy narrowed the same action from another request."""
BY_CLICK: Final = "by_click"
"""Member of an object that a click in a chat may answer; absent otherwise."""
_MOVING: Final = frozenset({"txn", "not_before", "expires_at", "policy_set", "noted", BY_CLICK})
"""Members that differ between two requests of the same action; whether a click may answer is decided at each."""
_DECIDED: Final = frozenset({"rules", "requirements", "obligations", "break_glass"})
"""Members that the current decision determines anew; its rules are compared with the rules that were shown."""


def action_object(
    verified: VerifiedRequest,
    decision: Decision,
    *,
    approval: str,
    origin: str,
    amounts: Mapping[str, int],
    at: UnixMillis,
    expires_at: UnixMillis,
    noted: tuple[str, ...] = (),
    by_click: bool = False,
) -> FrozenJSON:
    """Build the envelope.

    approval: the id of the future approval. origin: of the ledger. amounts: the money that the action moves, in minor
    units by its budget's name. noted: differences from this agent's other actions, in words of ours. by_click: a click
    in a chat may answer it. Times are Unix milliseconds. Raises Malformed (`json.*`).
    """
    value: dict[str, JSONValue] = {
        **_bound(verified, decision, amounts),
        **({BY_CLICK: True} if by_click else {}),
        "expires_at": expires_at,
        "not_before": at,
        "noted": [*noted],
        "policy_set": decision.policy_set,
        "txn": approval,
        "v": VERSION,
    }
    return freeze({"iss": origin, "typ": ACTION_TYP, "value": value})


def changed_since(
    shown: FrozenJSON, verified: VerifiedRequest, decision: Decision, amounts: Mapping[str, int]
) -> tuple[str, ...]:
    """Return what of the action differs from what was shown, in words; empty where nothing does. decision: the current
    one.

    Rules that were shown may have been removed meanwhile; a rule that was not shown is neither lifted nor answered by
    this approval. Raises Malformed (`approval.object`, `json.*`).
    """
    was = object_in(shown)
    now = object_in(
        freeze({"typ": ACTION_TYP, "value": {**_bound(verified, decision, amounts), "v": VERSION}})
    )
    other = [
        _WORDS.get(name, name)
        for name in sorted((now.keys() | was.keys()) - _MOVING - _DECIDED)
        if now.get(name) != was.get(name)
    ]
    asked = {str(one) for one in cast("list[JSONValue]", was["rules"])}
    in_the_way = decision.determined_by if decision.effect == "defer" else ()
    if not {*_lifted(decision), *in_the_way} <= asked:
        other.append("the rules that ask")
    return tuple(other)


def object_in(shown: FrozenJSON) -> dict[str, JSONValue]:
    """Return the object in an envelope. Raises Malformed (`approval.object`) unless it is one of this version."""
    envelope = parse(shown.bytes)
    if not isinstance(envelope, dict) or envelope.get("typ") != ACTION_TYP:
        raise APPROVAL_OBJECT("not an action object")
    value = envelope.get("value")
    if not isinstance(value, dict) or value.get("v") != VERSION:
        raise APPROVAL_OBJECT(f"the action object is not of version {VERSION}")
    return value


def _bound(verified: VerifiedRequest, decision: Decision, amounts: Mapping[str, int]) -> dict[str, JSONValue]:
    request, resolved, mandate = verified.request, verified.resolved, verified.mandate
    capability = resolved.capability
    asked = request.asked
    return {
        "agent": verified.caller.agent,
        "amounts": {**amounts},
        "arguments": request.arguments,
        **({"break_glass": [*decision.break_glass]} if decision.break_glass else {}),
        "capability": capability.name,
        "chain": [hop.agent for hop in verified.hops],
        "destinations": [*verified.destinations],
        "effects": {
            "environment": capability.environment,
            "kind": capability.kind,
            "reversible": capability.reversible,
            "sensitivity": capability.sensitivity,
            "tier": capability.tier,
        },
        "manifest": verified.caller.identity.manifest,
        "mandate": mandate.id,
        "method": request.method,
        "narrowed_from": cast("dict[str, JSONValue]", asked.thaw())["arguments"] if asked else None,
        "obligations": [*decision.all_obligations],
        "principals": [*verified.principals],
        "purpose": mandate.purpose,
        "requirements": [[one.group, one.count] for one in decision.requirements],
        "resource": {"id": verified.resource_id, "type": capability.resource.type},
        "rules": [*dict.fromkeys((*decision.determined_by, *_lifted(decision)))],
        "server": request.server,
        "subject": verified.subject,
        "target": request.target,
        "title": capability.title,
        "tool": verified.definition.digest,
        "use_case": mandate.use_case,
        **({} if verified.prepared is None else {"prepared": verified.prepared.members()}),
    }


def _lifted(decision: Decision) -> tuple[str, ...]:
    """Return the forbids that are lifted, including those of the decision that narrowed the action."""
    wider = decision.wider
    if wider is None:
        return decision.lifted
    by_people = wider.determined_by if wider.joint else ()
    return (*decision.lifted, *wider.lifted, *by_people)


_WORDS: Final = {
    "arguments": "the arguments",
    "chain": "the chain of agents",
    "effects": "what the capability is said to do",
    "manifest": "the manifest of the agent",
    "tool": "the tool's definition",
    "amounts": "the amounts",
    "destinations": "where it goes",
    "narrowed_from": ASKED_FOR,
    "prepared": "what was prepared",
    "principals": "who answers for it",
    "purpose": "the task",
}
