"""What a capability must be that executes what another one prepared, and what that one must be."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.registry.documents.capability import ExecuteMapping
from answerable.core.registry.parsing.active import faults_of, snapshot_of
from answerable.core.registry.tools.tool_types import type_fault
from tests.worlds.prepared import EXECUTE, documents

pytestmark = pytest.mark.requirement("PREPARE-08")
EXECUTES: dict[str, Any] = {"preparedBy": "crm.prepare", "argument": "batch", "digestArgument": "digest"}


def faults(executes: Any = None, prepare: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    """The messages about documents in which the two capabilities are changed."""
    found = documents(**({"executes": executes} if executes is not None else {}), **changes)
    for one in found:
        if one["metadata"]["name"] == "crm.prepare":
            one["spec"] |= prepare or {}
    return [fault.message for fault in faults_of(found)]


def test_the_two_are_read():
    snapshot = snapshot_of(documents())
    assert snapshot.capabilities["crm.execute"].executes == ExecuteMapping(
        prepared_by="crm.prepare", argument="batch", digest_argument="digest"
    )
    assert snapshot.capabilities["crm.prepare"].executes is None
    assert faults() == []


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nobody of that name": ({"executes": {**EXECUTES, "preparedBy": "crm.prepar"}}, "no Capability is called"),
    "itself": ({"executes": {**EXECUTES, "preparedBy": "crm.execute"}}, "cannot prepare what it executes"),
    "no argument": ({"executes": {"preparedBy": "crm.prepare"}}, "argument"),
    "one argument for both": ({"executes": {**EXECUTES, "digestArgument": "batch"}}, "two different arguments"),
    "a member too many": ({"executes": {**EXECUTES, "by": "x"}}, "by"),
    "text instead": ({"executes": "crm.prepare"}, "mapping"),
    "a credential in it": ({"credentials": {"arguments": ["batch"]}}, "must not carry a credential"),
    "a resource": ({"method": "resources/read", "arguments": []}, "only a tool can execute"),
    "what cannot be undone": ({"prepare": {"kind": "write"}}, "cannot be undone"),
    "what is critical": ({"prepare": {"tier": 3}}, "at most tier 2"),
    "what is above": ({"tier": 0}, "at most that of the one that executes"),
    "what moves money": ({"prepare": {"amount": {"fixed": 5, "currency": "EUR"}}}, "moves money"),
    "what executes, too": ({"prepare": {"executes": {**EXECUTES, "preparedBy": "crm.read"}}}, "cannot prepare them"),
    "a word that is none": (
        {"arguments": [{"name": "batch_id", "type": "string", "pointer": "/batch/{jason}/x"}]}, "none of the words",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_said(what):
    changes, part = WRONG[what]
    assert any(part in message for message in faults(**changes)), faults(**changes)


def test_a_tool_of_another_server_does_not_prepare():
    found = documents()
    for one in found:
        if one["metadata"]["name"] == "crm.prepare":
            one["spec"]["server"] = "erp"
    server: Any = {
        "apiVersion": "answerable/v1",
        "kind": "Server",
        "metadata": {"name": "erp"},
        "spec": {"command": "erp"},
    }
    assert any("must be a tool of server" in fault.message for fault in faults_of([*found, server]))


def test_what_is_reversible_may_prepare():
    assert faults(prepare={"kind": "write", "reversible": True}) == []


SCHEMAS: dict[str, tuple[dict[str, Any], bool]] = {
    "as it is": ({}, True),
    "not required": ({"required": ["digest"]}, False),
    "the digest not required": ({"required": ["batch"]}, False),
    "an object": ({"properties": {"batch": {"type": "object"}, "digest": {"type": "string"}}}, False),
    "perhaps text": ({"properties": {"batch": {"type": ["string", "null"]}, "digest": {"type": "string"}}}, False),
    "not there": ({"properties": {"digest": {"type": "string"}}, "required": ["digest"]}, False),
}  # fmt: skip


@pytest.mark.parametrize("what", SCHEMAS)
def test_the_bytes_go_in_a_required_text_of_the_tool(what):
    changes, fits = SCHEMAS[what]
    capability = snapshot_of(documents()).capabilities["crm.execute"]
    tool: Any = {**EXECUTE, "inputSchema": {**EXECUTE["inputSchema"], **changes}}
    assert (type_fault(capability, tool) == "") is fits


POINTERS: dict[str, tuple[dict[str, Any], bool]] = {
    "inside a text": ({"name": "a", "type": "integer", "pointer": "/batch/{json}/x"}, True),
    "inside what is no text": ({"name": "a", "type": "integer", "pointer": "/lines/{json}/x"}, False),
    "how many of a list": ({"name": "a", "type": "integer", "pointer": "/lines/{count}"}, True),
    "how many of a text": ({"name": "a", "type": "integer", "pointer": "/batch/{count}"}, False),
    "the sum of numbers": ({"name": "a", "type": "minor_units", "pointer": "/lines/*/n/{sum}"}, True),
    "the sum of texts": ({"name": "a", "type": "minor_units", "pointer": "/lines/*/t/{sum}"}, False),
    "the same text": ({"name": "a", "type": "string", "pointer": "/lines/*/t/{same}"}, True),
}


@pytest.mark.parametrize("what", POINTERS)
def test_words_are_held_against_the_schema_as_far_as_it_goes(what):
    mapping, fits = POINTERS[what]
    capability = snapshot_of(
        documents(arguments=[mapping], amount={"fixed": 0}, destination={"type": "name", "fixed": "x"},
                  resource={"type": "Batch", "fixed": "x"})
    ).capabilities["crm.execute"]  # fmt: skip
    schema = EXECUTE["inputSchema"]
    item = {"type": "object", "properties": {"n": {"type": "integer"}, "t": {"type": "string"}}}
    properties = {**schema["properties"], "lines": {"type": "array", "items": item}}
    tool: Any = {**EXECUTE, "inputSchema": {**schema, "properties": properties}}
    assert (type_fault(capability, tool) == "") is fits, type_fault(capability, tool)
