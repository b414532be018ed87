"""The arguments of a tool, as its input schema names them."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.registry.tools.tool_arguments import ARGUMENTS_MAX, DEPTH_MAX, arguments_in

pytestmark = pytest.mark.requirement("TOOL-13")


def type_of(schema: Any) -> str:
    return arguments_in({"properties": {"a": schema}})["/a"].type


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "string"}, "string"),
        ({"type": ["string", "null", "string"]}, "null or string"),
        ({"type": []}, "anything"),
        ({"const": 1}, "integer"),
        ({"enum": [None, True, 1, 1.5]}, "boolean or integer or null or number"),
        ({"enum": ["x", [], {}]}, "array or object or string"),
        ({"enum": []}, "anything"),
        ({"properties": {}}, "object"),
        ({"anyOf": []}, "anything"),
        ({"oneOf": [{"type": "integer"}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}]}, "integer or string"),
        ({"$ref": "https://elsewhere.example/schema"}, "anything"),
        ({"$ref": "#/nowhere"}, "anything"),
        ({"$ref": "#/nowhere", "type": "string"}, "string"),
        (True, "anything"),
        ("no schema", "anything"),
    ],
)  # fmt: skip
def test_a_type_is_what_the_schema_says_and_anything_where_it_says_nothing(schema, named):
    assert type_of(schema) == named


def test_alternatives_and_references_lead_to_what_they_name():
    schema = {
        "properties": {"one": {"$ref": "#/$defs/a~1b"}, "two": {"allOf": [{"properties": {"y": {}}}, "odd"]}},
        "$defs": {"a/b": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}},
    }
    found = arguments_in(schema)
    assert list(found) == ["/one", "/one/x", "/two", "/two/y"]
    assert found["/one/x"].required


def test_it_stops_where_a_schema_is_too_deep_too_wide_or_refers_to_itself():
    deep: Any = {"type": "string"}
    for _ in range(50):
        deep = {"properties": {"a": deep}}
    assert max(path.count("/") for path in arguments_in(deep)) <= DEPTH_MAX + 2
    wide = {"properties": {f"a{n}": {} for n in range(2 * ARGUMENTS_MAX)}}
    assert len(arguments_in(wide)) == ARGUMENTS_MAX
    loop: Any = {"anyOf": [{"$ref": "#"}] * 30, "properties": {"a": {"anyOf": [{"$ref": "#"}] * 30}}}
    assert "/a" in arguments_in(loop)
    assert arguments_in(None) == arguments_in({"properties": []}) == {}
