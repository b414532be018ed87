"""The arguments of a tool, as its input schema names them."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.registry.parsing.capability_proposal import proposed
from answerable.core.registry.tools.tool_arguments import ARGUMENTS_MAX, DEPTH_MAX, arguments_in
from answerable.core.registry.tools.tool_change import tool_changes

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


@pytest.mark.requirement("TOOL-16")
def test_a_cut_is_visible_and_says_where():
    def nested(levels: int, inner: Any) -> Any:
        for _ in range(levels):
            inner = {"properties": {"a": inner, "b": {"type": "string"}}}
        return inner

    whole = arguments_in(nested(DEPTH_MAX, {"type": "string"}))
    assert (whole.cut, whole.is_cut_at("/a/c")) == (set(), False)
    deep = arguments_in(nested(12, {"type": "string"}))
    (below,) = deep.cut
    assert below == "/a" * (DEPTH_MAX + 1)
    assert deep.is_cut_at(f"{below}/a")
    assert not deep.is_cut_at("/b/c")
    tree = {"properties": {"children": {"items": {"$ref": "#"}}, "name": {"type": "string"}}}
    assert arguments_in(tree).cut
    assert not arguments_in(tree).is_cut_at("/nmae")
    chained = {"$defs": {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(20)}}
    assert arguments_in({**chained, "properties": {"a": {"$ref": "#/$defs/d0"}}}).is_cut_at("/a/b")
    wide = {"properties": {f"a{n}": {} for n in range(2 * ARGUMENTS_MAX)}}
    assert arguments_in(wide).is_cut_at("/anything")
    loop: Any = {"anyOf": [{"$ref": "#"}] * 30, "properties": {"a": {"anyOf": [{"$ref": "#"}] * 30}}}
    assert arguments_in(loop).is_cut_at("/anything")


@pytest.mark.requirement("TOOL-16")
def test_a_change_below_the_cut_is_told_beside_others():
    def tool(description: str, deep: str) -> Any:
        inner: Any = {"type": "string", "description": deep}
        for _ in range(12):
            inner = {"properties": {"a": inner}}
        schema = {**inner, "properties": {**inner["properties"], "b": {"description": description}}}
        return {"name": "read", "inputSchema": schema}

    told = tool_changes(tool("one", "kind"), tool("two", "hostile"), server="crm")
    assert len([one for one in told if one.kind == "argument"]) == 2
    assert [one for one in told if one.grave and "deeper ones, than are compared" in one.text]
    assert tool_changes(tool("one", "kind"), tool("one", "kind"), server="crm") == ()


@pytest.mark.requirement("TOOL-16")
def test_a_proposal_says_below_what_it_did_not_look():
    inner: Any = {"type": "string"}
    for _ in range(12):
        inner = {"properties": {"a": inner}}
    notes = proposed("crm", {"name": "read", "inputSchema": inner}).notes
    assert [
        one for one in notes if "nested too deep: what is below `/a/a/a/a/a/a/a/a/a` is not looked at" in one
    ]
