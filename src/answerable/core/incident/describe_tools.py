"""Describe entries about tool definitions that came into force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.wording import named, plain, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


def tool_pinned_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe who approved which definition of a tool."""
    tool = f"tool {plain(leaf.get('tool'))} of server {plain(leaf.get('server'))}"
    definition = short(leaf.get("definition"))
    if leaf.get("source") == "first_sight":
        return f"Definition {definition} of {tool} was pinned at first sight; nobody read it.", ()
    previous = leaf.get("previous")
    details = (f"in place of {short(previous)}",) if previous else ()
    return f"{named('by', leaf, payload)} approved definition {definition} of {tool}.", details
