"""Convert a strictly parsed message to an action request (step 1 of the walk). The SDK's own parameters are not used.

Parameters are closed: a member that the method does not have is refused, as is task augmentation. The client's response
to the one question that this gateway asks is accepted and ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.action.request import action_request
from answerable.errors import shown
from answerable.errors.codes.services import PARAMS_INVALID

if TYPE_CHECKING:
    from answerable.apps.mcp_gateway.arrival import Arrival
    from answerable.core.action.request import ActionRequest
    from answerable.core.canonical import JSONValue

REASON_META: Final = "answerable/reason"

_MEMBERS: Final[dict[str, frozenset[str]]] = {
    "tools/call": frozenset({"name", "arguments", "_meta", "inputResponses", "requestState"}),
    "prompts/get": frozenset({"name", "arguments", "_meta", "inputResponses", "requestState"}),
    "resources/read": frozenset({"uri", "_meta", "inputResponses", "requestState"}),
    "resources/subscribe": frozenset({"uri", "_meta"}),
    "resources/unsubscribe": frozenset({"uri", "_meta"}),
    "completion/complete": frozenset({"ref", "argument", "context", "_meta"}),
    "subscriptions/listen": frozenset({"notifications", "_meta"}),
    "tools/list": frozenset({"cursor", "_meta"}),
    "prompts/list": frozenset({"cursor", "_meta"}),
    "resources/list": frozenset({"cursor", "_meta"}),
    "resources/templates/list": frozenset({"cursor", "_meta"}),
}
_FILTER: Final = frozenset(
    {"toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions"}
)


def checked_params(arrival: Arrival, method: str) -> dict[str, JSONValue]:
    """Return the parameters, which have only members of the method. Raises Malformed (`params.invalid`)."""
    params = arrival.message.get("params", {})
    if not isinstance(params, dict):
        raise PARAMS_INVALID("params must be an object")
    extra = params.keys() - _MEMBERS[method]
    if extra:
        raise PARAMS_INVALID(f"member {shown(min(extra))} of params is not offered here")
    if "_meta" in params and not isinstance(params["_meta"], dict):
        raise PARAMS_INVALID("`_meta` must be an object")
    return params


def request_of(arrival: Arrival, server: str, method: str) -> ActionRequest:
    """Return the action that a governed request asks for. Raises Malformed (`params.*`, `action.*`, `arguments.*`,
    `json.*`)."""
    params = checked_params(arrival, method)
    arguments: JSONValue = {}
    if method in ("tools/call", "prompts/get"):
        target = _text(params, "name")
        arguments = params.get("arguments", {})
    elif method == "completion/complete":
        target, arguments = _completion(params)
    else:
        target = _text(params, "uri")
    return _action(arrival, server, method, target, arguments)


def listen_requests(
    arrival: Arrival, server: str, *, uris_max: int
) -> tuple[dict[str, bool], tuple[ActionRequest, ...]]:
    """Return the list changes that `subscriptions/listen` asks for, and one action per resource. Raises Malformed."""
    wanted = checked_params(arrival, "subscriptions/listen").get("notifications")
    if not isinstance(wanted, dict) or wanted.keys() - _FILTER:
        raise PARAMS_INVALID("`notifications` must be an object with known members")
    flags = {name: wanted.get(name) is True for name in _FILTER if name != "resourceSubscriptions"}
    uris = wanted.get("resourceSubscriptions", [])
    if not isinstance(uris, list) or len(uris) > uris_max:
        raise PARAMS_INVALID(f"`resourceSubscriptions` must be a list of at most {uris_max}")
    requests: dict[str, ActionRequest] = {}
    for uri in uris:
        if not isinstance(uri, str):
            raise PARAMS_INVALID("`resourceSubscriptions` holds something other than text")
        requests[uri] = _action(arrival, server, "subscriptions/listen", uri, {})
    return flags, tuple(requests.values())


def _action(arrival: Arrival, server: str, method: str, target: str, arguments: JSONValue) -> ActionRequest:
    meta = arrival.params.get("_meta")
    reason = meta.get(REASON_META, "") if isinstance(meta, dict) else ""
    return action_request(
        server=server,
        method=method,
        target=target,
        arguments=arguments,
        mandate_id=arrival.mandate_id,
        reason=reason if isinstance(reason, str) else "",
        message_digest=arrival.caller.message_digest,
        delegation=arrival.delegation,
        parsed=True,
    )


def _completion(params: dict[str, JSONValue]) -> tuple[str, JSONValue]:
    match params.get("ref"):
        case {"type": "ref/prompt", "name": str(target)}:
            kind = "ref/prompt"
        case {"type": "ref/resource", "uri": str(target)}:
            kind = "ref/resource"
        case _:
            raise PARAMS_INVALID("`ref` must name a prompt or a resource")
    match params.get("argument"):
        case {"name": str(name), "value": str(value), **rest} if not rest:
            arguments: dict[str, JSONValue] = {"argument": name, "ref": kind, "value": value}
        case _:
            raise PARAMS_INVALID("`argument` must have a `name` and a `value`")
    match params.get("context", {}):
        case {"arguments": dict(given), **rest} if not rest:
            arguments["context"] = given
        case {**rest} if not rest:
            pass
        case _:
            raise PARAMS_INVALID("`context` must hold `arguments` and nothing else")
    return target, arguments


def _text(params: dict[str, JSONValue], name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str):
        raise PARAMS_INVALID(f"`{name}` must be text")
    return value
