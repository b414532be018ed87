"""Tools: list the states of their definitions, show changes, and record owners' approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.api import tool_answers as answers
from answerable.api.members import Page, Token
from answerable.apps.control_api.call import instant, page_of
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import TEXT
from answerable.core.identity.keys.compact_jws import TOKEN_CHARS_MAX
from answerable.errors.codes.services import REQUEST_QUERY
from answerable.flows.walk.pin_tools import approve_tool
from answerable.flows.walk.show_tools import changes_of, neighbours, tool_state, tool_states, weight_of

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.core.registry.tools.tool_pin import ToolPin
    from answerable.flows.walk.show_tools import ToolState


@operation(
    "GET",
    "/v1/servers/{name}/tools",
    id="list_tools",
    summary="The tools of one server, and whether their definitions are let through",
    answer=Page[answers.Tool],
)
async def list_tools(call: Call) -> Page[answers.Tool]:
    """List the tools of a server, registered or not."""
    states = tool_states(call.walk.authority, call.walk.verification, call.walk.limits, call.path["name"])
    return page_of(call, states, name=lambda state: state.tool, render=_told)


@operation(
    "GET",
    "/v1/servers/{name}/tool",
    id="show_tool",
    summary="One tool: its definition as offered now, the one in force, and what is different",
    answer=answers.ToolShown,
    query=(("tool", TEXT, "name of the tool"),),
)
async def show_tool(call: Call) -> answers.ToolShown:
    """Return one tool with both definitions in full, so that signers see what they sign."""
    name = call.query.get("tool")
    if name is None:
        raise REQUEST_QUERY("expected a tool: ?tool=NAME")
    state = tool_state(call.walk.authority, call.walk.verification, call.walk.limits, call.path["name"], name)
    return answers.ToolShown(
        tool=_told(state),
        text=None if state.text is None else state.text.decode(),
        pin=_pin(state.pin) if state.pin is not None else None,
        changes=tuple(
            answers.ToolChange(kind=one.kind, text=one.text, grave=one.grave)
            for one in changes_of(call.walk.authority.registry, call.walk.verification.upstream, state)
        ),
        weight=tuple(
            answers.ToolWeight(text=text, grave=grave)
            for text, grave in weight_of(call.walk.authority.registry, state)
        ),
        neighbours=tuple(neighbours(call.walk.authority.registry, call.walk.verification.upstream)),
    )


@operation(
    "POST",
    "/v1/tool-approvals",
    id="approve_tool",
    summary="Put a definition of a tool into force that its owner signed",
    answer=answers.ToolPin,
    body=Token,
)
async def approve(call: Call) -> answers.ToolPin:
    """Put a tool definition into force that the tool's owner signed."""
    token = call.members("token").text("token", chars_max=TOKEN_CHARS_MAX)
    pin = await approve_tool(
        call.walk.recorder, call.walk.planning, call.walk.asking.under_way, token, by=call.by
    )
    return _pin(pin)


def _told(state: ToolState) -> answers.Tool:
    return answers.Tool(
        server=state.server,
        name=state.tool,
        capability=state.capability,
        standing=state.standing,
        offered=state.offered,
        pinned=state.pinned,
        source=state.source,
        blocked=state.blocked,
        tier=state.tier,
        unhinted_accepted=state.unhinted_accepted,
    )


def _pin(pin: ToolPin) -> answers.ToolPin:
    return answers.ToolPin(
        server=pin.server,
        name=pin.tool,
        definition=pin.definition,
        source=pin.source,
        signed_by=pin.signed_by,
        at=instant(pin.at),
        text=pin.text.decode(),
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    list_tools,
    show_tool,
    approve,
)
