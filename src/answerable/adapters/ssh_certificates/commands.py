"""Define a target's tools: one for each command in its settings, and `run` for any other command that a lease
allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.ssh_certificates.scope import ITEMS_MAX, command_faults
from answerable.errors import shown
from answerable.errors.codes.leases import TARGET_ARGUMENTS, TARGET_COMMAND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

RUN: Final = "run"
VALUE_CHARS_MAX: Final = 512
_TOOL: Final = re.compile(r"(?P<name>[a-z][a-z0-9_]{0,63})=(?P<command>/.{1,4000})")
_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]{0,63})\}")
_HINTS: Final[dict[str, JSONValue]] = {
    "readOnlyHint": False,
    "destructiveHint": True,
    "idempotentHint": False,
    "openWorldHint": True,
}
"""The effect of a command is unknown here, so the hints state the worst case; the tool's capability is more precise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandTool:
    """A command with placeholders for values: each word is one argument, whatever value is filled in."""

    name: str
    words: tuple[str, ...]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the placeholders, in order."""
        return tuple(dict.fromkeys(name for word in self.words for name in _PLACEHOLDER.findall(word)))

    def filled(self, arguments: Mapping[str, JSONValue]) -> tuple[str, ...]:
        """Return the command with these arguments filled in."""
        return tuple(_PLACEHOLDER.sub(lambda found: str(arguments[found[1]]), word) for word in self.words)


def checked_command_tool(text: str) -> CommandTool:
    """Parse `NAME=/path/to/program word {place} …`. Raises Malformed (`target.command`)."""
    found = _TOOL.fullmatch(text)
    if found is None or found["name"] == RUN:
        raise TARGET_COMMAND(
            f"{shown(text)} is no command: write NAME=/path/to/program and its words, with {{PLACE}} for values; the "
            f"name in a-z 0-9 _, and not `{RUN}`"
        )
    tool = CommandTool(name=found["name"], words=tuple(found["command"].split()))
    if "{" in tool.words[0] or any(mark in _PLACEHOLDER.sub("", text) for mark in "{}"):
        raise TARGET_COMMAND(f"{shown(text)} has a brace that is no {{PLACE}}")
    if "host" in tool.parameters:
        raise TARGET_COMMAND(f"{shown(text)} has a place `host`, which is reserved for the host it runs on")
    return tool


def definitions(tools: tuple[CommandTool, ...], hosts: tuple[str, ...]) -> tuple[dict[str, JSONValue], ...]:
    """Return the tools as MCP definitions."""
    where: dict[str, JSONValue] = {
        "type": "string",
        "enum": list(hosts),
        "description": "Host on which it runs.",
    }
    made = [_definition(RUN, _RUN_TITLE, _RUN_SAYS, {"host": where, "command": _COMMAND})]
    for tool in tools:
        places: dict[str, JSONValue] = {
            name: {
                "type": "string",
                "maxLength": VALUE_CHARS_MAX,
                "description": f"Put in place of {{{name}}} as one argument.",
            }
            for name in tool.parameters
        }
        says = f"Runs `{' '.join(tool.words)}` on one host and answers with its output and exit status."
        title = tool.name.replace("_", " ").capitalize()
        made.append(_definition(tool.name, title, says, {"host": where, **places}))
    return tuple(made)


def command_asked(
    tools: tuple[CommandTool, ...], name: str, arguments: Mapping[str, JSONValue]
) -> tuple[str, ...]:
    """Return the command that a call requests. Raises Refused (`target.arguments`)."""
    tool = next((tool for tool in tools if tool.name == name), None)
    wanted = {"host", "command"} if name == RUN else {"host", *(tool.parameters if tool else ())}
    if (tool is None and name != RUN) or set(arguments) != wanted:
        raise TARGET_ARGUMENTS(f"tool {shown(name)} takes exactly the arguments {', '.join(sorted(wanted))}")
    if tool is None:
        command = arguments["command"]
        if faults := command_faults(command):
            raise TARGET_ARGUMENTS(faults[0])
        assert isinstance(command, list)  # noqa: S101 - command_faults said so
        if not all(isinstance(word, str) for word in command):
            raise TARGET_ARGUMENTS("`command` must be a list of texts")
        return tuple(str(word) for word in command)
    for place in tool.parameters:
        value = arguments[place]
        if (
            not isinstance(value, str)
            or len(value) > VALUE_CHARS_MAX
            or not (value.isprintable() or not value)
        ):
            raise TARGET_ARGUMENTS(
                f"`{place}` must be text of at most {VALUE_CHARS_MAX} printable characters"
            )
    return tool.filled(arguments)


_RUN_TITLE: Final = "Run a command on a host"
_RUN_SAYS: Final = (
    "Runs one program with its arguments on one host, without a shell, and answers with its output and exit status. "
    "Only the command that was allowed runs."
)
_COMMAND: Final[dict[str, JSONValue]] = {
    "type": "array",
    "items": {"type": "string", "maxLength": VALUE_CHARS_MAX},
    "minItems": 1,
    "maxItems": ITEMS_MAX,
    "description": "The program by its whole path, then each argument.",
}


def _definition(name: str, title: str, says: str, properties: dict[str, JSONValue]) -> dict[str, JSONValue]:
    schema: dict[str, JSONValue] = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {
        "name": name,
        "title": title,
        "description": says,
        "inputSchema": schema,
        "annotations": {"title": title, **_HINTS},
    }
