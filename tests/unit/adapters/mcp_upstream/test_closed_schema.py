from __future__ import annotations

import pytest

from answerable.adapters.mcp_upstream.closed_schema import SCHEMA_BYTES_MAX, VIOLATIONS_MAX, compile_closed
from answerable.errors import Malformed

NESTED = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "to": {"type": "object", "properties": {"cents": {"type": "integer", "maximum": 5}}},
    },
    "required": ["name"],
}
DRAFT_7 = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "point": {
            "$ref": "#/definitions/point",
            "description": "ignored beside a reference",
            "maxProperties": 0,
        },
        "pair": {
            "type": "array",
            "items": [{"type": "string"}, {"type": "integer"}],
            "additionalItems": False,
        },
        "dependencies": {"type": "string"},
    },
    "dependencies": {"point": ["pair"]},
    "definitions": {"point": {"type": "object", "properties": {"x": {"type": "integer"}}}},
}


def fits(schema, arguments, **more):
    return not compile_closed(schema, **more)(arguments)


def test_members_that_the_schema_names_fit():
    assert fits(NESTED, {"name": "a", "to": {"cents": 5}})


@pytest.mark.parametrize(
    "arguments", [{"name": "a", "more": 1}, {"name": "a", "to": {"cents": 1, "more": 1}}]
)
def test_members_that_the_schema_does_not_name_are_refused_at_every_level(arguments):
    (text,) = compile_closed(NESTED)(arguments)
    assert "member `more` is named neither" in text


def test_a_capability_opens_top_level_members_and_what_is_inside_them():
    assert fits(NESTED, {"name": "a", "more": {"any": [{"thing": 1}]}}, open_members=("more",))
    assert fits(NESTED, {"name": "a", "to": {"cents": 1, "more": 1}}, open_members=("to",))
    assert not fits(NESTED, {"name": "a", "to": {"cents": 6}}, open_members=("to",))
    assert not fits(NESTED, {"name": "a", "other": 1}, open_members=("more",))


def test_closing_sees_through_all_of_references_and_alternatives():
    schema = {
        "type": "object",
        "properties": {
            "a": {"allOf": [{"properties": {"x": {}}}, {"$ref": "#/$defs/y"}]},
            "b": {"anyOf": [{"properties": {"x": {}}}, {"properties": {"z": {}}, "required": ["z"]}]},
        },
        "$defs": {"y": {"properties": {"y": {"$ref": "#/$defs/y"}}}},
    }
    assert fits(schema, {"a": {"x": 1, "y": {"y": {"y": {}}}}})
    assert not fits(schema, {"a": {"x": 1, "z": 1}})
    assert not fits(schema, {"a": {"y": {"y": {"z": 1}}}})
    assert fits(schema, {"b": {"z": 1, "x": 1}})
    assert not fits(schema, {"b": {"y": 1}})


def test_an_explicitly_open_object_stays_open_and_an_unspoken_one_is_empty():
    assert fits({"type": "object", "additionalProperties": True}, {"any": {"thing": 1}})
    assert fits({"properties": {"m": {"type": "object", "additionalProperties": {}}}}, {"m": {"a": {"b": 1}}})
    typed = {"properties": {"m": {"additionalProperties": {"type": "object", "properties": {"x": {}}}}}}
    assert fits(typed, {"m": {"any": {"x": 1}}})
    assert not fits(typed, {"m": {"any": {"y": 1}}})
    assert fits({"properties": {"m": {}}}, {"m": [[1, "text", {}]]})
    assert not fits({"properties": {"m": {}}}, {"m": [[{"hidden": 1}]]})
    assert not fits({"properties": {"m": True}}, {"m": {"hidden": 1}})


def test_conditions_name_nothing():
    condition = {"properties": {"kind": {"type": "string"}}, "if": {"properties": {"secret": {}}}, "then": {}}
    assert not fits(condition, {"secret": 1})
    contains = {
        "properties": {"l": {"type": "array", "contains": {"properties": {"k": {}}, "required": ["k"]}}}
    }
    assert not fits(contains, {"l": [{"k": 1}]})
    assert not fits(contains, {"l": []})
    negated = {"properties": {"n": {"not": {"required": ["bad"]}, "properties": {"good": {}, "bad": {}}}}}
    assert fits(negated, {"n": {"good": 1}})
    assert not fits(negated, {"n": {"good": 1, "bad": 1}})


def test_closing_never_lets_in_what_the_schema_itself_refuses():
    def branch(*names):
        return {"properties": {"n": {"type": "object", "properties": {name: {} for name in names}}}}

    one_of = {"properties": {"v": {"oneOf": [branch("x"), branch("x", "y")]}}}
    assert compile_closed(one_of)({"v": {"n": {"x": 1, "y": 1}}}) == (
        "member `v` fits more than one of its forms",
    )


def test_older_drafts_are_read_in_their_own_spelling():
    assert fits(DRAFT_7, {"point": {"x": 1}, "pair": ["a", 1], "dependencies": "a property of that name"})
    assert not fits(DRAFT_7, {"point": {"x": 1, "y": 1}, "pair": ["a", 1]})
    assert not fits(DRAFT_7, {"point": {"x": 1}})
    assert not fits(DRAFT_7, {"pair": ["a", 1, 2]})


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ([], "schema.not_object"),
        ({"properties": {"a": {"$ref": "https://example.test/schema"}}}, "schema.reference"),
        ({"properties": {"a": {"not": {"$ref": "other.json#/a"}}}}, "schema.reference"),
        ({"properties": {"a": {"$id": "https://example.test/a", "type": "string"}}}, "schema.reference"),
        ({"properties": {"a": {"$ref": "#/$defs/nowhere"}}}, "schema.invalid"),
        ({"properties": {"a": {"pattern": "("}}}, "schema.invalid"),
        ({"properties": {"a": {"type": 3}}}, "schema.invalid"),
        ({"description": "x" * SCHEMA_BYTES_MAX}, "schema.size"),
    ],
)
def test_a_schema_that_cannot_be_trusted_is_refused(schema, code):
    with pytest.raises(Malformed) as refused:
        compile_closed(schema)
    assert refused.value.code == code
    assert "\n" not in refused.value.message


def test_a_schema_that_refers_to_itself_ends():
    assert fits({"type": "object", "$ref": "#"}, {})
    assert not fits({"type": "object", "allOf": [{"$ref": "#"}]}, {"a": 1})


def test_a_pattern_that_backtracks_for_ever_is_cut_short():
    schema = {"properties": {"a": {"type": "string", "pattern": "^(?=(a+)+$)b"}}}
    assert not fits(schema, {"a": "a" * 60 + "!"})


def test_texts_say_where_and_never_what():
    secret = "s3cret-value"
    schema = {"properties": {"a": {"enum": ["x"]}, "b": {"type": "integer"}, "c": {"maxLength": 2}}}
    texts = compile_closed(schema)({"a": secret, "b": secret, "c": secret})
    assert texts == (
        "member `a` is none of the allowed values",
        "member `b` must be integer",
        "member `c` is more than 2",
    )
    many = compile_closed({"type": "object", "required": [f"m{n}" for n in range(50)]})({})
    assert len(many) == VIOLATIONS_MAX
    assert many[0] == "member `m0` is missing"


@pytest.mark.requirement("OPENFILES-05")
@pytest.mark.parametrize("leads_back", [False, True])
def test_parts_that_each_name_others_twice_are_refused_before_they_are_compiled(leads_back):
    parts = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(28)}
    parts["d28"] = {"properties": {"more": {"$ref": "#/$defs/d0"}}} if leads_back else {"type": "string"}
    schema = {"type": "object", "properties": {"account": {"$ref": "#/$defs/d0"}}, "$defs": parts}
    with pytest.raises(Malformed) as refused:
        compile_closed(schema)
    assert refused.value.code == "schema.references"


def test_a_part_that_leads_back_to_itself_and_is_used_often_is_taken():
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/t"}, "right": {"$ref": "#/$defs/t"}}}
    uses = {f"a{i}": {"$ref": "#/$defs/t"} for i in range(50)}
    assert (
        compile_closed({"type": "object", "properties": uses, "$defs": {"t": tree}})({"a1": {"left": {}}})
        == ()
    )
