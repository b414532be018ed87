"""Tools: list the states of their definitions, show changes, and record owners' approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.call import Operation, instant, page_of
from answerable.apps.control_api.schemas import (
    COUNT,
    DIGEST,
    FLAG,
    INSTANT,
    TEXT,
    Schema,
    choice,
    nullable,
    record,
    reference,
    sequence,
)
from answerable.core.identity.keys.compact_jws import TOKEN_CHARS_MAX
from answerable.errors.codes.services import REQUEST_QUERY
from answerable.flows.walk.pin_tools import approve_tool
from answerable.flows.walk.show_tools import changes_of, neighbours, tool_state, tool_states, weight_of

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.tools.tool_pin import ToolPin
    from answerable.flows.walk.show_tools import ToolState


async def list_tools(call: Call) -> Answer:
    """List the tools of a server, registered or not."""
    states = tool_states(call.walk, call.path["name"])
    return page_of(call, states, name=lambda state: state.tool, render=_told)


async def show_tool(call: Call) -> Answer:
    """Return one tool with both definitions in full, so that signers see what they sign."""
    name = call.query.get("tool")
    if name is None:
        raise REQUEST_QUERY("expected a tool: ?tool=NAME")
    state = tool_state(call.walk, call.path["name"], name)
    return {
        "tool": _told(state),
        "text": _text(state.text),
        "pin": _pin(state.pin) if state.pin is not None else None,
        "changes": [
            {"kind": one.kind, "text": one.text, "grave": one.grave} for one in changes_of(call.walk, state)
        ],
        "weight": [{"text": text, "grave": grave} for text, grave in weight_of(call.walk, state)],
        "neighbours": [[server, tool] for server, tool in neighbours(call.walk)],
    }


async def approve(call: Call) -> Answer:
    """Put a tool definition into force that the tool's owner signed."""
    token = call.members("token").text("token", chars_max=TOKEN_CHARS_MAX)
    pin = await approve_tool(call.walk, token, by=call.by)
    return _pin(pin)


def _told(state: ToolState) -> Answer:
    return {
        "server": state.server,
        "name": state.tool,
        "capability": state.capability,
        "standing": state.standing,
        "offered": state.offered,
        "pinned": state.pinned,
        "source": state.source,
        "blocked": state.blocked,
        "tier": state.tier,
        "unhinted_accepted": state.unhinted_accepted,
    }


def _pin(pin: ToolPin) -> Answer:
    return {
        "server": pin.server,
        "name": pin.tool,
        "definition": pin.definition,
        "source": pin.source,
        "signed_by": pin.signed_by,
        "at": instant(pin.at),
        "text": _text(pin.text),
    }


def _text(text: bytes | None) -> JSONValue:
    return None if text is None else text.decode()


_DIGEST_OR_NONE: Final[Schema] = {"type": "string", "pattern": "^(?:[0-9a-f]{64})?$"}
_DEFINITION: Final[Schema] = {"type": "string", "description": "canonical JSON; its SHA-256 is the digest"}

COMPONENTS: Final[dict[str, Schema]] = {
    "Tool": record(
        {
            "server": TEXT,
            "name": TEXT,
            "capability": TEXT,
            "standing": choice("pinned", "changed", "new", "away", "unregistered"),
            "offered": _DIGEST_OR_NONE,
            "pinned": _DIGEST_OR_NONE,
            "source": choice("document", "owner", "first_sight", ""),
            "blocked": TEXT,
            "tier": nullable(COUNT),
            "unhinted_accepted": FLAG,
        }
    ),
    "ToolPin": record(
        {
            "server": TEXT,
            "name": TEXT,
            "definition": DIGEST,
            "source": choice("owner", "first_sight"),
            "signed_by": TEXT,
            "at": INSTANT,
            "text": _DEFINITION,
        }
    ),
    "ToolShown": record(
        {
            "tool": reference("Tool"),
            "text": nullable(_DEFINITION),
            "pin": nullable(reference("ToolPin")),
            "changes": sequence(record({"kind": TEXT, "text": TEXT, "grave": FLAG})),
            "weight": sequence(record({"text": TEXT, "grave": FLAG})),
            "neighbours": sequence({"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2}),
        }
    ),
}
"""In addition to those of `schemas`."""

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="list_tools",
        method="GET",
        path="/v1/servers/{name}/tools",
        summary="The tools of one server, and whether their definitions are let through",
        answer="Tool",
        page=True,
        run=list_tools,
    ),
    Operation(
        id="show_tool",
        method="GET",
        path="/v1/servers/{name}/tool",
        summary="One tool: its definition as offered now, the one in force, and what is different",
        answer="ToolShown",
        query=(("tool", TEXT, "name of the tool"),),
        run=show_tool,
    ),
    Operation(
        id="approve_tool",
        method="POST",
        path="/v1/tool-approvals",
        summary="Put a definition of a tool into force that its owner signed",
        body="Token",
        answer="ToolPin",
        run=approve,
    ),
)
