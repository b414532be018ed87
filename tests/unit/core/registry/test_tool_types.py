"""What a capability declares must be what the tool takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from answerable.core.registry.documents.capability import ArgumentMapping
from answerable.core.registry.parsing.active import snapshot_of
from answerable.core.registry.tools.tool_types import type_fault
from answerable.testing.builders import bench_documents
from tests.worlds.tool import described

pytestmark = pytest.mark.requirement("TOOL-13")

CAPABILITY = snapshot_of(bench_documents()).capabilities["crm.read"]
SCHEMA: Any = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "payment": {"$ref": "#/$defs/P"},
        "to": {"type": "array", "items": {"type": "object", "properties": {"email": {"type": "string"}}}},
        "free": {"type": "object", "additionalProperties": True},
        "any": {},
    },
    "$defs": {"P": {"type": "object", "properties": {"amount": {"type": "integer"}}}},
}


def fault(schema: Any = None, **mapping: Any) -> str:
    given = replace(CAPABILITY, arguments=(ArgumentMapping(**mapping),))
    return type_fault(given, described(inputSchema=SCHEMA if schema is None else schema))


@pytest.mark.parametrize(
    "mapping",
    [
        {"name": "name", "type": "string"},
        {"name": "name", "type": "decimal"},
        {"name": "count", "type": "minor_units"},
        {"name": "ratio", "type": "integer"},
        {"name": "maybe", "type": "string"},
        {"name": "tags", "type": "string_set"},
        {"name": "amount", "type": "minor_units", "pointer": "/payment/amount"},
        {"name": "mails", "type": "string_set", "pointer": "/to/*/email"},
        {"name": "deep", "type": "string", "pointer": "/free/deep/er"},
        {"name": "first", "type": "string", "pointer": "/tags/0"},
        {"name": "second", "type": "string", "pointer": "/to/1/email"},
        {"name": "any", "type": "boolean"},
        {"name": "below", "type": "string", "pointer": "/any/below"},
    ],
)
def test_a_declaration_that_agrees_is_no_fault(mapping):
    assert fault(**mapping) == ""


@pytest.mark.parametrize(
    ("mapping", "told"),
    [
        (
            {"name": "name", "type": "integer"},
            "argument `/name` is declared `integer`, and the tool takes string, so declare `string`",
        ),
        ({"name": "count", "type": "string"}, "so declare `integer`"),
        ({"name": "tags", "type": "string"}, "so declare `string_set`"),
        ({"name": "payment", "type": "string"}, "which has no type in policies: leave it out"),
        ({"name": "nam", "type": "string"}, "the tool has no argument `/nam`; did you mean `/name`?"),
        ({"name": "fee", "type": "integer", "pointer": "/payment/fee"}, "no argument `/payment/fee`"),
        ({"name": "first", "type": "integer", "pointer": "/tags/0"}, "the tool takes string"),
        ({"name": "first", "type": "string", "pointer": "/name/0"}, "no argument `/name/0`"),
        ({"name": "first", "type": "string_set", "pointer": "/tags/0"}, "so declare `string`"),
        ({"name": "zzz", "type": "string"}, "it has `/name`, `/count`"),
    ],
)
def test_one_that_does_not_is_told_with_what_to_declare(mapping, told):
    found = fault(**mapping)
    assert told in found
    assert "correct `arguments` of capability `crm.read`" in found


def test_a_schema_that_leaves_members_open_takes_any_name():
    assert fault({**SCHEMA, "additionalProperties": True}, name="other", type="string") == ""
    assert fault({}, name="other", type="string") != ""
    assert type_fault(replace(CAPABILITY, arguments=()), "no definition") == ""
