"""What the spec of a Capability must look like."""

from __future__ import annotations

import pytest

from answerable.core.registry.documents.capability import PRINCIPAL_IS_SUBJECT, SubjectMapping
from answerable.core.registry.parsing.active import faults_of, snapshot_of
from answerable.testing.samples import document, registry_documents
from tests.worlds.registry import check_fault


@pytest.mark.parametrize(
    ("name", "path", "value", "at", "code", "says"),
    [
        ("crm.read", ["spec", "kind"], "raed", "/spec/kind", "document.choice", "did you mean `read`?"),
        ("crm.read", ["spec", "kind"], ..., "/spec", "document.missing", "`kind` is missing"),
        ("crm.read", ["spec", "method"], "tools/list", "/spec/method", "document.choice", "`tools/call`?"),
        ("crm.read", ["spec", "target"], "a{b}", "/spec/target", "name.invalid", "has braces"),
        ("crm.read", ["spec", "target"], "a\u200bb", "/spec/target", "name.invalid", "class Cf"),
        ("crm.read", ["spec", "target"], "pa\u0443ments", "/spec/target", "name.invalid", "mixes scripts"),
        ("crm.read", ["spec", "target"], ..., "/spec", "document.missing", "`target` is missing"),
        ("crm.read", ["metadata", "name"], "read", "/spec", "capability.name", "name of a kind of action"),
        (
            "crm.read",
            ["spec", "resource", "type"],
            "UseCase",
            "/spec/resource/type",
            "capability.resource",
            "reserved",
        ),
        ("crm.read", ["spec", "tier"], 4, "/spec/tier", "document.range", "expected 0 to 3"),
        ("crm.read", ["spec", "unhinted"], True, "/spec/unhinted", "document.choice", "not allowed here"),
        ("crm.read", ["spec", "unhinted"], "accept", "/spec/unhinted", "document.choice", "`accepted`"),
        ("crm.read", ["spec", "unhinted"], "", "/spec/unhinted", "document.choice", "accepted"),
        ("crm.read", ["spec", "tier"], 1.0, "/spec/tier", "document.type", "expected an integer"),
        (
            "crm.read",
            ["spec", "reversible"],
            "yes",
            "/spec/reversible",
            "document.type",
            "true or false, got text",
        ),
        ("crm.read", ["spec", "resource"], ..., "/spec", "document.missing", "`resource` is missing"),
        (
            "crm.read",
            ["spec", "resource"],
            {"type": "Case"},
            "/spec/resource",
            "capability.resource",
            "needs",
        ),
        (
            "crm.read",
            ["spec", "resource", "fixed"],
            "x",
            "/spec/resource",
            "capability.resource",
            "either an `argument`",
        ),
        (
            "crm.read",
            ["spec", "resource", "type"],
            "case",
            "/spec/resource/type",
            "document.pattern",
            "entity",
        ),
        (
            "crm.read",
            ["spec", "resource", "type"],
            "Agent",
            "/spec/resource/type",
            "capability.resource",
            "reserved",
        ),
        (
            "crm.read",
            ["spec", "arguments"],
            [{"name": "a", "type": "string"}, {"name": "a", "type": "integer"}],
            "/spec/arguments/1/name",
            "document.duplicate",
            "mapped twice",
        ),
        (
            "crm.read",
            ["spec", "arguments", 0, "type"],
            "float",
            "/spec/arguments/0/type",
            "document.choice",
            "known here: string",
        ),
        (
            "crm.read",
            ["spec", "arguments", 0, "name"],
            "__entity",
            "/spec/arguments/0/name",
            "document.pattern",
            "",
        ),
    ],
)
def test_each_fault_says_where_and_what(name, path, value, at, code, says):
    check_fault(name, path, value, at, code, says)


def resource_capability(target, resource, **more):
    spec = {
        **registry_documents()[5]["spec"],
        "method": "resources/read",
        "target": target,
        "resource": resource,
        **more,
    }
    del spec["arguments"]
    return [*registry_documents(), document("Capability", "crm.case", spec)]


@pytest.mark.parametrize(
    ("target", "argument", "code"),
    [
        ("crm://cases/{case}", "case", None),
        ("crm://cases/{case}/notes/{note}", "note", None),
        ("crm://cases/{case}", "note", "capability.resource"),
        ("crm://cases/all", "note", "capability.resource"),
        ("crm://cases/{case", "case", "name.invalid"),
        ("crm://cases/{case}/{case}", "case", "name.invalid"),
        ("crm://cases/é", "case", "name.invalid"),
        ("crm://cases/{+case}", "case", "name.invalid"),
    ],
)
def test_a_resource_is_named_by_a_variable_of_its_uri_template(target, argument, code):
    faults = faults_of(resource_capability(target, {"type": "Case", "argument": argument}))
    assert code in ([fault.code for fault in faults] or [None])


def test_a_resource_of_fixed_id_needs_no_variable():
    assert faults_of(resource_capability("crm://cases/all", {"type": "Case", "fixed": "all"})) == ()


@pytest.mark.requirement("HINT-03")
def test_that_hints_are_left_out_is_accepted_by_one_word_for_tools_alone():
    documents = registry_documents()
    documents[5]["spec"]["unhinted"] = "accepted"
    found = snapshot_of(documents).capabilities
    assert (found["crm.read"].unhinted_accepted, found["crm.refund"].unhinted_accepted) == (True, False)
    resource = {"type": "Case", "argument": "case"}
    faults = faults_of(resource_capability("crm://cases/{case}", resource, unhinted="accepted"))
    assert [(one.path, one.code) for one in faults] == [("/spec/unhinted", "capability.unhinted")]


@pytest.mark.parametrize(
    ("path", "value", "at", "code", "says"),
    [
        (
            ["spec", "subject"],
            {"type": "Customer"},
            "/spec/subject",
            "document.missing",
            "`argument` is missing",
        ),
        (["spec", "subject"], {"argument": "case"}, "/spec/subject", "document.missing", "`type` is missing"),
        (["spec", "subject"], "case", "/spec/subject", "document.type", ""),
        (
            ["spec", "subject"],
            {"type": "customer", "argument": "case"},
            "/spec/subject/type",
            "document.pattern",
            "entity",
        ),
        (
            ["spec", "subject"],
            {"type": "Customer", "argument": "__entity"},
            "/spec/subject/argument",
            "document.pattern",
            "",
        ),
        (
            ["spec", "subject"],
            {"type": "Customer", "argument": "case", "fixed": "x"},
            "/spec/subject/fixed",
            "document.unknown_key",
            "`fixed`",
        ),
    ],
)
def test_each_fault_of_a_subject_says_where_and_what(path, value, at, code, says):
    check_fault("crm.read", path, value, at, code, says)


@pytest.mark.requirement("SEAL-04")
def test_a_subject_is_read_and_is_the_principal_when_there_is_none():
    documents = registry_documents()
    documents[5]["spec"]["subject"] = {"type": "Customer", "argument": "case"}
    found = snapshot_of(documents).capabilities
    assert found["crm.read"].subject == SubjectMapping(type="Customer", argument="case")
    assert found["crm.refund"].subject == PRINCIPAL_IS_SUBJECT == SubjectMapping(type="", argument="")


@pytest.mark.requirement("SEAL-04")
@pytest.mark.parametrize(("argument", "code"), [("case", None), ("note", "capability.subject")])
def test_the_subject_of_a_resource_is_a_variable_of_its_uri_template_too(argument, code):
    resource = {"type": "Case", "argument": "case"}
    subject = {"type": "Customer", "argument": argument}
    faults = faults_of(resource_capability("crm://cases/{case}", resource, subject=subject))
    assert [fault.code for fault in faults] == ([code] if code else [])
