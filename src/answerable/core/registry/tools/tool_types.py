"""Check that a capability's argument mappings agree with the tool's input schema.

Laws: a decision could never use an argument that the tool does not have, or that has another type than declared; both
are reported, with a correction, and block the tool, since a policy would otherwise silently match nothing.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.fields import pointer
from answerable.core.registry.documents.pointing import AT_THE_END, COUNT, JSON
from answerable.core.registry.tools.tool_arguments import ANYTHING, ITEM, arguments_in
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import ArgumentMapping, ArgumentType, Capability
    from answerable.core.registry.tools.tool_arguments import ToolArgument, ToolArguments

_JSON_TYPES: Final[dict[ArgumentType, frozenset[str]]] = {
    "string": frozenset({"string"}),
    "boolean": frozenset({"boolean"}),
    "integer": frozenset({"integer", "number"}),
    "minor_units": frozenset({"integer", "number"}),
    "decimal": frozenset({"string"}),
    "string_set": frozenset({"array"}),
}
_WRITE: Final[dict[str, str]] = {
    "string": "string",
    "boolean": "boolean",
    "integer": "integer",
    "array": "string_set",
}
"""The type to declare for a JSON type."""


def type_fault(capability: Capability, tool: JSONValue) -> str:
    """Return the first disagreement and its correction, or empty if there is none. Never raises."""
    schema = tool.get("inputSchema") if isinstance(tool, dict) else None
    if not isinstance(schema, dict):
        return ""
    known = arguments_in(schema)
    for mapping in capability.arguments:
        fault = _fault(mapping, known, takes_any=_takes_any(schema))
        if fault and mapping.name not in capability.open_members:
            return f"{fault}: correct `arguments` of capability `{capability.name}`"
    return _execute_fault(capability, known)


def _execute_fault(capability: Capability, known: Mapping[str, ToolArgument]) -> str:
    """Check that an argument for prepared bytes is a text that the tool requires: any other type would be
    re-encoded."""
    executes = capability.executes
    if executes is None:
        return ""
    for name in filter(None, (executes.argument, executes.digest_argument)):
        found = known.get(pointer("", name))
        if found is None or found.type != "string" or not found.required:
            return (
                f"argument {shown(name)} of the tool must be required and of type string, for it carries what was "
                f"prepared: correct `executes` of capability `{capability.name}`"
            )
    return ""


def _fault(mapping: ArgumentMapping, known: ToolArguments, *, takes_any: bool) -> str:
    steps = (mapping.pointer or pointer("", mapping.name)).split("/")
    word = steps.pop() if steps[-1] in AT_THE_END else ""
    inside = JSON in steps
    if inside:
        # A schema cannot describe the JSON in a text, only that the value is a text.
        steps = steps[: steps.index(JSON)]
    path = _place("/".join(steps), known)
    found = known.get(path)
    if found is None:
        if takes_any or known.is_cut_at(path) or _is_below_anything(path, known):
            return ""
        close = get_close_matches(path, known, n=1, cutoff=0.6)
        hint = f"did you mean {shown(close[0])}?" if close else f"it has {_listed(known)}"
        return f"the tool has no argument {shown(path)}; {hint}"
    types = set(found.type.split(" or "))
    wanted = frozenset({"string"}) if inside else _JSON_TYPES[mapping.type]
    if word == COUNT and not inside:
        wanted = frozenset({"array"}) if steps[-1] != ITEM else frozenset(types)
    if not inside and mapping.type == "string_set" and "/*" in mapping.pointer:
        # The gathered items form the set, and each must be a text.
        wanted = frozenset({"string"})
    if ANYTHING in types or types & wanted:
        return ""
    use = next((_WRITE[one] for one in sorted(types) if one in _WRITE), "")
    hint = f", so declare `{use}`" if use else ", which has no type in policies: leave it out"
    return f"argument {shown(path)} is declared `{mapping.type}`, and the tool takes {found.type}{hint}"


def _place(path: str, known: Mapping[str, ToolArgument]) -> str:
    """Return the path as the schema has it. An index into a list becomes `*`, since the schema describes all items
    alike."""
    at = ""
    for step in path.split("/")[1:]:
        own, item = f"{at}/{step}", f"{at}/{ITEM}"
        at = item if own not in known and item in known and step.isascii() and step.isdigit() else own
    return at


def _is_below_anything(path: str, known: Mapping[str, ToolArgument]) -> bool:
    """Whether the schema leaves the content of a parent of this path open."""
    steps = path.split("/")
    for count in range(len(steps) - 1, 1, -1):
        above = known.get("/".join(steps[:count]))
        if above is not None:
            return above.open or ANYTHING in above.type
    return False


def _takes_any(schema: Mapping[str, JSONValue]) -> bool:
    extra = schema.get("additionalProperties")
    return extra is True or isinstance(extra, dict) or "patternProperties" in schema or "$ref" in schema


def _listed(known: Mapping[str, ToolArgument]) -> str:
    names = [shown(path) for path in known][:5]
    return ", ".join(names) or "none"
