"""Hold what one upstream listed last: tools, prompts, resources and resource templates, and their compiled definitions.

Laws: names are exact; an entry that is listed twice or whose name could be confused with another is not offered, and is
reported; a definition is compiled once per capability and kept until the upstream is listed again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

from answerable.adapters.mcp_upstream.closed_schema import compile_closed
from answerable.core.action.tool_definition import ToolDefinition
from answerable.core.canonical import encode
from answerable.core.registry.documents.public_name import checked_plain_target, checked_uri_template
from answerable.errors import Malformed, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import Capability

Shelf = Literal["tools", "prompts", "resources", "resourceTemplates"]

LIST_METHODS: Final[dict[str, Shelf]] = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
KEYS: Final[dict[Shelf, str]] = {
    "tools": "name",
    "prompts": "name",
    "resources": "uri",
    "resourceTemplates": "uriTemplate",
}
"""The member that names an entry, by shelf."""
ENTRIES_MAX: Final = 5_000
REPORTS_MAX: Final = 50
ENTRIES_PER_SECOND: Final = 3_000
BYTES_PER_SECOND: Final = 10_000_000
"""Limits on re-reading one server's lists: a server that announces changes continuously is read no faster than this."""
COMPILED_MAX: Final = 10_000

_NOTHING: Final[dict[str, JSONValue]] = {"type": "object", "properties": {}}
_COMPLETION: Final[dict[str, JSONValue]] = {
    "type": "object",
    "properties": {
        "argument": {"type": "string"},
        "context": {"type": "object", "additionalProperties": {"type": "string"}},
        "ref": {"enum": ["ref/prompt", "ref/resource"]},
        "value": {"type": "string"},
    },
    "required": ["argument", "ref", "value"],
}


def key_of(shelf: Shelf, entry: JSONValue) -> str | None:
    """Return the name of a listed entry; None if it has no textual name."""
    name = entry.get(KEYS[shelf]) if isinstance(entry, dict) else None
    return name if isinstance(name, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The lists of one upstream. entries: by shelf and exact name. refused: entries not offered, one line of reason
    each.

    wants_fields: whether a tool's schema requests HTTP header fields.
    apart_seconds: minimum pause before the lists are read again.
    """

    entries: dict[Shelf, dict[str, dict[str, JSONValue]]]
    refused: tuple[str, ...] = ()
    wants_fields: bool = False
    apart_seconds: float = 0.0
    _compiled: dict[int, tuple[Capability, ToolDefinition | Malformed]] = field(default_factory=dict)

    def offers(self, shelf: Shelf, name: str) -> bool:
        """Whether the upstream lists this entry under a name that may be offered."""
        return name in self.entries[shelf]

    def entry(self, shelf: Shelf, name: str) -> dict[str, JSONValue] | None:
        """Return the entry as listed; None if it is not offered."""
        return self.entries[shelf].get(name)

    def definition(self, capability: Capability) -> ToolDefinition | None:
        """Return the closed definition of a capability's target; None if it is not offered or its schema is refused."""
        found = self._found(capability)
        return found if isinstance(found, ToolDefinition) else None

    def fault(self, capability: Capability) -> str:
        """Return why a listed target has no definition; empty if it has one or is not listed."""
        found = self._found(capability)
        return found.message if isinstance(found, Malformed) else ""

    def _found(self, capability: Capability) -> ToolDefinition | Malformed | None:
        # Keyed by identity: hashing a whole capability costs more than validating a call. The stored reference prevents
        # reuse of the id while the entry exists, and the comparison detects it otherwise.
        kept = self._compiled.get(id(capability))
        if kept is not None and kept[0] is capability:
            return kept[1]
        said = self._said(capability)
        if said is None:
            return None
        if len(self._compiled) >= COMPILED_MAX:
            self._compiled.clear()
        found = _defined(said, capability)
        self._compiled[id(capability)] = (capability, found)
        return found

    def _said(self, capability: Capability) -> tuple[JSONValue, JSONValue] | None:
        """Return the upstream's description of the target, for the digest, and the input schema that results from
        it."""
        target = capability.target
        if capability.method == "tools/call":
            tool = self.entry("tools", target)
            return None if tool is None else (tool, tool.get("inputSchema"))
        if capability.method == "prompts/get":
            prompt = self.entry("prompts", target)
            return None if prompt is None else (prompt, _prompt_schema(prompt))
        # Servers need not list every readable resource, so an unlisted one is defined by its URI alone.
        entry = self.entry("resources", target) or self.entry("resourceTemplates", target)
        if capability.method == "completion/complete":
            return (entry or self.entry("prompts", target) or {"target": target}, _COMPLETION)
        return (entry or {"target": target}, _NOTHING)


def catalogue_of(
    listed: dict[Shelf, list[JSONValue]], *, wants_fields: bool = False, size: int = 0
) -> Catalogue:
    """Sort listed entries (all pages) into offered and refused ones. size: bytes of all pages."""
    entries: dict[Shelf, dict[str, dict[str, JSONValue]]] = {shelf: {} for shelf in KEYS}
    refused: list[str] = []
    for shelf, found in listed.items():
        entries[shelf] = _sorted_out(shelf, found, refused.append)
    apart = max(sum(map(len, listed.values())) / ENTRIES_PER_SECOND, size / BYTES_PER_SECOND)
    return Catalogue(
        entries=entries,
        refused=tuple(refused[:REPORTS_MAX]),
        wants_fields=wants_fields,
        apart_seconds=apart,
    )


def _sorted_out(
    shelf: Shelf, found: Iterable[JSONValue], report: Callable[[str], None]
) -> dict[str, dict[str, JSONValue]]:
    kept: dict[str, dict[str, JSONValue]] = {}
    twice: set[str] = set()
    for entry in found:
        name = key_of(shelf, entry)
        if name is None or not isinstance(entry, dict):
            report(f"an entry of {shelf} has no name")
            continue
        try:
            _check_name(shelf, name)
        except Malformed as fault:
            report(fault.message)
            continue
        if name in kept or name in twice:
            # Only the upstream knows which of the two a call would reach, so neither is offered.
            twice.add(name)
            kept.pop(name, None)
            report(f"{shelf} lists {shown(name)} twice")
            continue
        kept[name] = entry
    return kept


def _check_name(shelf: Shelf, name: str) -> None:
    if shelf in ("tools", "prompts"):
        checked_plain_target(name, what=f"{shelf} entry")
    else:
        checked_uri_template(name, what=f"{shelf} entry")


def _prompt_schema(prompt: dict[str, JSONValue]) -> JSONValue:
    """Return a closed schema for prompt arguments, which are named texts (MCP 2026-07-28, server/prompts)."""
    declared = prompt.get("arguments")
    properties: dict[str, JSONValue] = {}
    required: list[JSONValue] = []
    for argument in declared if isinstance(declared, list) else ():
        name = argument.get("name") if isinstance(argument, dict) else None
        if not isinstance(name, str) or not isinstance(argument, dict):
            continue
        properties[name] = {"type": "string"}
        if argument.get("required") is True and name not in required:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required}


def _defined(said: tuple[JSONValue, JSONValue], capability: Capability) -> ToolDefinition | Malformed:
    words, schema = said
    try:
        text = encode(words)
        return ToolDefinition(
            text=text,
            digest=sha256(text).hexdigest(),
            violations=compile_closed(schema, open_members=capability.open_members),
        )
    except Malformed as fault:
        return fault
