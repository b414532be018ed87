"""Capabilities proposed from what a server says of a tool."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.registry.parsing.active import inactive, snapshot_of
from answerable.core.registry.parsing.capability_proposal import proposed
from answerable.core.registry.parsing.parse import shapes_of
from answerable.core.registry.tools.coaz_mapping import coaz_mappings, pointer_of
from answerable.core.registry.tools.tool_hints import hint_fault
from answerable.core.registry.tools.tool_types import type_fault
from answerable.testing.builders import bench_documents
from tests.worlds.tool import described

pytestmark = pytest.mark.requirement("TOOL-14")


def spec_of(tool: Any) -> Any:
    return proposed("crm", tool).document["spec"]


def tool(name: str, properties: Any = None, required: Any = (), **members: Any) -> Any:
    schema = {"type": "object", "properties": properties or {}, "required": [*required]}
    return described(name, inputSchema=schema, **members)


MAIL = tool(
    "send_mail",
    {
        "to": {"type": "array", "items": {"type": "object", "properties": {"email": {"type": "string"}}}},
        "subject": {"type": "string"},
        "body": {"type": "string"},
        "options": {
            "type": "object",
            "properties": {"retries": {"type": "integer"}, "rate": {"type": "number"}},
        },
    },
    ("to", "body"),
)


def test_a_proposal_is_a_sound_document_that_nobody_answers_for_yet_and_fits_its_tool():
    proposal = proposed("crm", MAIL)
    documents = [*bench_documents(), proposal.document]
    assert shapes_of(documents).faults == ()
    (resting,) = inactive(documents)
    assert (resting.name, "owner" in resting.missing) == ("crm.send-mail", True)
    capability = snapshot_of(documents).idle["crm.send-mail"]
    assert type_fault(capability, MAIL) == ""
    assert hint_fault(capability, MAIL) == ""


def test_arguments_are_named_however_deep_and_what_policies_cannot_see_is_said():
    proposal = proposed("crm", MAIL)
    spec: Any = proposal.document["spec"]
    assert spec["arguments"] == [
        {"name": "email", "type": "string_set", "pointer": "/to/*/email"},
        {"name": "subject", "type": "string"},
        {"name": "body", "type": "string", "required": True},
        {"name": "retries", "type": "integer", "pointer": "/options/retries"},
    ]
    assert spec["destination"] == {"type": "email", "arguments": ["email"]}
    assert any("`/options/rate`" in note for note in proposal.notes)


@pytest.mark.parametrize(
    ("given", "kind", "tier"),
    [
        (tool("get_case"), "read", 3),
        (tool("get_case", annotations={"readOnlyHint": True, "openWorldHint": False}), "read", 0),
        (tool("get_case", annotations={"readOnlyHint": False}), "write", 3),
        (tool("getCase", annotations={"destructiveHint": True}), "delete", 3),
        (tool("delete_case", annotations={"readOnlyHint": True, "openWorldHint": False}), "delete", 2),
        (tool("pay_invoice", annotations={"readOnlyHint": True, "openWorldHint": False}), "pay", 2),
        (tool("send_mail"), "communicate", 3),
        (tool("fetch_page"), "egress", 3),
        (tool("read_page", {"url": {"type": "string"}}), "egress", 3),
        (tool("assign_task"), "delegate", 3),
        (tool("grant_role"), "admin", 3),
        (tool("read_query"), "execute", 3),
        (tool("frobnicate"), "execute", 3),
        (tool("create_case", annotations={"destructiveHint": False, "openWorldHint": False}), "write", 1),
    ],
)
def test_kind_and_tier_are_guessed_for_the_worse_and_hints_never_lower_them(given, kind, tier):
    spec = spec_of(given)
    assert (spec["kind"], spec["tier"]) == (kind, tier)


@pytest.mark.parametrize(
    ("properties", "required", "resource"),
    [
        ({"case_id": {"type": "string"}}, ("case_id",), {"type": "Case", "argument": "case_id"}),
        ({"case_id": {"type": "string"}}, (), {"type": "Crm", "fixed": "crm"}),
        ({"path": {"type": "string"}}, ("path",), {"type": "Path", "argument": "path"}),
        ({"agent_id": {"type": "string"}}, ("agent_id",), {"type": "AgentResource", "argument": "agent_id"}),
        ({}, (), {"type": "Crm", "fixed": "crm"}),
    ],
)
def test_the_resource_is_what_a_needed_argument_names_else_the_whole_server(properties, required, resource):
    assert spec_of(tool("get_case", properties, required))["resource"] == resource


def test_names_are_free_and_never_those_of_others():
    assert proposed("crm", tool("Get Case!")).document["metadata"] == {"name": "crm.get-case"}
    other = proposed("crm", tool("get_case"), taken=["crm.get-case", "crm.get-case-2"])
    assert other.document["metadata"] == {"name": "crm.get-case-3"}


COAZ: Any = {
    "evaluation": {
        "subject": {"type": "identity", "id": "$token.sub"},
        "resource": {"type": "customer_record", "id": "$params.arguments.query['customer']"},
        "context": {"cost": "$$5", "size": "$size(params.arguments.items)"},
    }
}


def test_the_servers_own_mapping_is_read_shown_and_only_proposed():
    schema = {
        "type": "object",
        "properties": {"query": {"type": "object", "properties": {"customer": {"type": "string"}}}},
        "x-authzen-mapping": COAZ,
    }
    proposal = proposed("crm", described("get_case", inputSchema=schema))
    spec: Any = proposal.document["spec"]
    assert spec["resource"] == {"type": "CustomerRecord", "argument": "customer"}
    said = "\n".join(proposal.notes)
    assert "`resource.id` is `$params.arguments.query['customer']`: argument `/query/customer`" in said
    assert (
        "`context.size` is `$size(params.arguments.items)`: an expression over more than the arguments"
        in said
    )
    assert "`context.cost` is `$$5`: plain text" in said


@pytest.mark.parametrize(
    ("expression", "pointer"),
    [
        ("params.arguments.a.b", "/a/b"),
        ("params.arguments.a.?b", "/a/b"),
        ("params.arguments['a/b'][0]", "/a~1b/0"),
        ('params.arguments["x"]', "/x"),
        ("params.arguments", ""),
        ("params.name", ""),
        ("params.arguments.a + 'x'", ""),
        ("params.arguments.a[b]", ""),
        ("params.argumentsx.a", ""),
        ("params.arguments.a.size()", ""),
        ("token.sub", ""),
    ],
)
def test_an_expression_is_understood_only_where_it_points_at_one_place(expression, pointer):
    assert pointer_of(expression) == pointer


@pytest.mark.parametrize(
    ("mapping", "count", "fault"),
    [
        ({"evaluations": {"subject": {"id": "x"}, "evaluations": [{}, {}]}}, 2, ""),
        ({"evaluation": {}, "evaluations": {}}, 0, "must have one key"),
        ({"evaluation": []}, 0, "is not understood"),
        ({"other": {}}, 0, "is not understood"),
        ("text", 0, "must have one key"),
        ({"evaluations": {"evaluations": ["x"]}}, 0, "each an object"),
        ({"evaluations": {"evaluations": [{}] * 51}}, 0, "at most 50"),
    ],
)
def test_a_mapping_of_another_shape_is_said_and_not_guessed_at(mapping, count, fault):
    found, told = coaz_mappings({"x-authzen-mapping": mapping})
    assert len(found) == count
    assert fault in told
    assert bool(told) == bool(fault)


def test_whatever_a_server_says_the_proposal_can_be_read():
    odd: list[Any] = [
        {},
        {"name": "\u202e!", "title": "\n# ownership: {owner: mallory}\n", "inputSchema": []},
        tool("x" * 400, {f"a{n}": {"type": "string"} for n in range(600)}),
        tool("t", {"Action": {"type": "string"}, "__entity": {"type": "string"}, "a b": {"type": "string"}}),
        tool("t", {"x": {"$ref": "#"}}),
        tool("t", {"x": True, "y": {"type": ["string", "null"]}, "z": {"type": "array"}}),
    ]
    for one in odd:
        proposal = proposed("crm", one)
        spec: Any = proposal.document["spec"]
        assert "ownership" not in spec
        assert spec["title"].isprintable()
        if one.get("name", "").isascii() and one.get("name"):
            assert shapes_of([*bench_documents(), proposal.document]).faults == ()


def test_what_may_be_money_what_was_left_out_and_what_is_not_understood_is_said():
    many = {f"a{n}": {"type": "string"} for n in range(600)}
    given = tool(
        "pay_invoice",
        {"amount": {"type": "integer"}, "list": {"type": "array", "items": {"type": "integer"}}, **many},
    )
    given["inputSchema"]["x-authzen-mapping"] = {"other": 1}
    said = "\n".join(proposed("crm", given).notes)
    assert "`amount` may be money" in said
    assert "`/list`" in said
    assert "more than 500 arguments" in said
    assert "is not understood" in said


def test_a_mapping_whose_resource_is_no_argument_proposes_none():
    given = tool("get_case", {"case_id": {"type": "string"}}, ("case_id",))
    given["inputSchema"]["x-authzen-mapping"] = {"evaluation": {"resource": {"id": "$token.sub"}, "n": 1}}
    assert spec_of(given)["resource"] == {"type": "Case", "argument": "case_id"}
    wide = {"evaluation": {f"a{n}": "x" for n in range(400)}}
    ((mapping,), fault) = coaz_mappings({"x-authzen-mapping": wide})
    assert (len(mapping.terms), fault) == (200, "")
