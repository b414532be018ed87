from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.adapters.mcp_upstream.catalogue import catalogue_of
from answerable.core.registry.documents.capability import Capability, ResourceMapping

TOOL = {"name": "pay", "inputSchema": {"type": "object", "properties": {"cents": {"type": "integer"}}}}
CAPABILITY = Capability(
    name="bank.pay",
    server="bank",
    method="tools/call",
    target="pay",
    kind="pay",
    environment="production",
    tier=3,
    sensitivity="restricted",
    resource=ResourceMapping(type="Account", fixed="main"),
)


def test_a_tool_has_a_definition_that_checks_its_arguments():
    definition = catalogue_of({"tools": [TOOL]}).definition(CAPABILITY)
    assert definition is not None
    assert definition.violations({"cents": 1}) == ()
    assert definition.violations({"cents": 1, "more": 1})
    changed = catalogue_of({"tools": [{**TOOL, "description": "other"}]}).definition(CAPABILITY)
    assert changed is not None
    assert changed.digest != definition.digest


def test_a_definition_is_compiled_once_for_a_capability():
    catalogue = catalogue_of({"tools": [TOOL]})
    assert catalogue.definition(CAPABILITY) is catalogue.definition(CAPABILITY)
    opened = catalogue.definition(replace(CAPABILITY, open_members=("more",)))
    assert opened is not None
    assert opened.violations({"more": 1}) == ()


@pytest.mark.parametrize(
    "names",
    [["pay", "pay"], ["pаy"], ["pay\u200b"], ["pay "], ["pay\n"], [""], ["pay{x}"], ["e\u0301toile"], [7]],
)
def test_names_that_are_not_one_thing_are_not_offered_and_are_reported(names):
    catalogue = catalogue_of({"tools": [{**TOOL, "name": name} for name in names]})
    assert catalogue.entries["tools"] == {}
    assert len(catalogue.refused) == 1
    assert catalogue.definition(CAPABILITY) is None


def test_names_that_differ_in_case_are_two():
    catalogue = catalogue_of({"tools": [TOOL, {**TOOL, "name": "Pay"}]})
    assert set(catalogue.entries["tools"]) == {"pay", "Pay"}


def test_a_tool_whose_schema_is_refused_has_no_definition_and_a_reason():
    catalogue = catalogue_of({"tools": [{"name": "pay", "inputSchema": {"$ref": "https://example.test"}}]})
    assert catalogue.definition(CAPABILITY) is None
    assert "which is outside the schema" in catalogue.fault(CAPABILITY)


def test_prompt_arguments_are_text_named_and_closed():
    prompt = {"name": "pay", "arguments": [{"name": "who", "required": True}, {"name": "why"}, "junk", {}]}
    definition = catalogue_of({"prompts": [prompt]}).definition(replace(CAPABILITY, method="prompts/get"))
    assert definition is not None
    assert definition.violations({"who": "a", "why": "b"}) == ()
    assert definition.violations({"why": "b"}) == ("member `who` is missing",)
    assert definition.violations({"who": 1})
    assert definition.violations({"who": "a", "more": "b"})


def test_resources_take_no_arguments_listed_or_not():
    catalogue = catalogue_of({"resourceTemplates": [{"uriTemplate": "a://{b}", "name": "b"}]})
    for target in ("a://{b}", "a://unlisted"):
        definition = catalogue.definition(replace(CAPABILITY, method="resources/read", target=target))
        assert definition is not None
        assert definition.violations({}) == ()
        assert definition.violations({"any": 1})
