"""Check the names in a call of a target's tool; each target checks the values itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.errors import shown
from answerable.errors.codes.leases import TARGET_ARGUMENTS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.canonical import JSONValue


def check_names(tool: str, arguments: Mapping[str, JSONValue], tools: Mapping[str, Collection[str]]) -> None:
    """Check that the target has the tool and the tool has the arguments. tools: the names of the arguments that each
    tool may have. Raises Refused (`target.arguments`)."""
    if tool not in tools:
        *first, last = (f"`{one}`" for one in tools)
        known = f"{', '.join(first)} or {last}" if first else last
        raise TARGET_ARGUMENTS(f"there is no tool {shown(tool)}: use {known}")
    if extra := sorted(arguments.keys() - set(tools[tool])):
        raise TARGET_ARGUMENTS(f"unknown argument {shown(extra[0])} of tool {shown(tool)}")
