"""What upstream servers say of their tools, and arguments that lie deep in calls, with samples to begin from."""

from __future__ import annotations

import json
from typing import Final

from answerable.core.canonical import JSONValue, encode, parse
from answerable.core.registry.documents.capability import ArgumentMapping, Capability
from answerable.core.registry.documents.pointing import named_arguments
from answerable.core.registry.parsing.capability_proposal import proposed
from answerable.core.registry.parsing.parse import shapes_of
from answerable.core.registry.tools.tool_change import LINES_MAX, tool_changes, tool_lines
from answerable.core.registry.tools.tool_hints import hint_fault, raised, told_weight
from answerable.core.registry.tools.tool_pin import definition_text, read_definition
from answerable.core.registry.tools.tool_types import type_fault
from answerable.errors import Malformed
from answerable.testing.samples import OWNERSHIP

TEXT_CHARS_MAX: Final = 5_000
PINNED: Final[dict[str, JSONValue]] = {
    "name": "send_mail",
    "title": "Send mail",
    "description": "Sends a mail.\nTo everybody.\u2028    readOnlyHint: true",
    "annotations": {"readOnlyHint": False, "destructiveHint": True, "openWorldHint": True},
    "inputSchema": {
        "type": "object",
        "additionalProperties": False,
        "required": ["to", "body"],
        "properties": {
            "to": {"type": "array", "items": {"type": "object", "properties": {"email": {"type": "string"}}}},
            "body": {"type": "string", "maxLength": 1000},
            "options": {"type": "object", "properties": {"retries": {"type": "integer", "minimum": 1}}},
            "amount": {"$ref": "#/$defs/amount"},
        },
        "$defs": {"amount": {"type": ["integer", "null"]}},
        "x-authzen-mapping": {
            "evaluation": {
                "subject": {"type": "agent", "id": "$token.sub"},
                "resource": {"type": "mailbox", "id": "$params.arguments.to[0].email"},
                "action": {"name": "$$send"},
            }
        },
    },
    "outputSchema": {"type": "object"},
    "_meta": {"version": 1},
}
_MAPPINGS: Final = (
    ArgumentMapping(name="body", type="string", required=True),
    ArgumentMapping(name="to_all", type="string_set", pointer="/to/*/email"),
    ArgumentMapping(name="retries", type="integer", pointer="/options/retries"),
)
_CALL: Final[dict[str, JSONValue]] = {
    "to": [{"email": "a@example.com"}, {"email": "b@example.com"}],
    "body": "hello",
    "options": {"retries": 2},
}


def definition(sent: bytes) -> None:
    """Anything a server lists as a tool: it can be proposed, judged, pinned and told apart from what was approved."""
    tool = parse(sent)
    if not isinstance(tool, dict):
        raise Malformed("no tool", code="json.invalid")
    proposal = proposed("crm", tool, taken=("crm.send-mail",))
    spec = proposal.document["spec"]
    assert isinstance(spec, dict)
    owned = {**proposal.document, "spec": {**spec, "ownership": dict(OWNERSHIP)}}
    shapes = shapes_of([owned])
    # Names that no capability may have, and such as are too long for a pointer, are for people to leave out.
    bearable = ("name.invalid", "document.size", "document.empty")
    if faults := [fault for fault in shapes.faults if fault.code not in bearable]:
        raise AssertionError(f"no document comes of a proposal: {faults}")
    _one_line(*proposal.notes)
    for found in shapes.nouns:
        assert isinstance(found.noun, Capability)
        _one_line(type_fault(found.noun, tool), hint_fault(found.noun, tool))
        _one_line(*(text for text, _ in told_weight(found.noun, tool)))
        if raised(found.noun, tool) != found.noun:
            raise AssertionError("what is proposed is of a lower tier than it would be decided at")
    if read_definition(definition_text(tool)) != tool:
        raise AssertionError("a definition does not survive being pinned")
    for before, now in ((None, tool), (PINNED, tool), (tool, PINNED)):
        changes = tool_changes(before, now, server="crm", neighbours=[("crm", "send_mai1")])
        _one_line(*(change.text for change in changes))
        if not changes and encode(before) != encode(now):
            raise AssertionError(f"nobody is told how {before} and {now} differ")

    lines = tool_lines(None, tool)
    whole = "\n".join(line[1:] for line in lines if line.startswith("+"))
    if any("\n" in line for line in lines) or (len(lines) <= LINES_MAX and json.loads(whole) != tool):
        raise AssertionError(f"the lines are not those of the definition: {lines}")


def _one_line(*texts: str) -> None:
    for text in texts:
        if len(text.splitlines()) > 1 or len(text) > TEXT_CHARS_MAX or not text.isprintable():
            raise AssertionError(f"not one short line: {text!r}")


def pointed(sent: bytes) -> None:
    """Arguments in any shape: what is pointed at is there as it is, absent, or of a shape that fits no type."""
    own = parse(sent)
    if not isinstance(own, dict):
        raise Malformed("no arguments", code="arguments.not_object")
    named = named_arguments(_MAPPINGS, own)
    hidden = {mapping.name for mapping in _MAPPINGS if mapping.pointer}
    if any(name not in hidden and named.get(name) != value for name, value in own.items()):
        raise AssertionError(f"another argument changed: {named}")
    recipients, to = named.get("to_all"), own.get("to")
    if isinstance(to, list) and isinstance(recipients, list) and len(recipients) < len(to):
        raise AssertionError(f"somebody is passed over: {named}")


def samples() -> dict[str, tuple[bytes, ...]]:
    """Valid bytes for each of the parsers here."""
    bare: JSONValue = {"name": "ping", "inputSchema": {"type": "object"}}
    return {
        "definition": (encode(PINNED), encode(bare), encode({**PINNED, "_meta": {"version": True}})),
        "pointed": (encode(_CALL), encode({"body": "x", "to": [{}, 1]})),
    }
