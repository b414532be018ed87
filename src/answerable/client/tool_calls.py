"""Operations of the control API on the subject `tool`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.members import Page, Token
from answerable.api.tool_answers import Tool, ToolPin, ToolShown
from answerable.client.transport import (
    READ_SECONDS_MAX,
    WAIT_SECONDS_MAX,
    Transport,
    given,
    items_of,
    segment,
)


def list_tools(control: Transport, name: str) -> Iterator[Tool]:
    """The tools of one server, and whether their definitions are let through."""
    return items_of(control, Page[Tool], f"/v1/servers/{segment(name)}/tools")


def show_tool(
    control: Transport, name: str, *, tool: str | None = None, seconds_max: float = READ_SECONDS_MAX
) -> ToolShown:
    """One tool: its definition as offered now, the one in force, and what is different."""
    return control.answer_as(
        ToolShown, "GET", f"/v1/servers/{segment(name)}/tool", query=given(tool=tool), seconds_max=seconds_max
    )


def approve_tool(control: Transport, body: Token, *, seconds_max: float = WAIT_SECONDS_MAX) -> ToolPin:
    """Put a definition of a tool into force that its owner signed."""
    return control.answer_as(ToolPin, "POST", "/v1/tool-approvals", body=body, seconds_max=seconds_max)
