"""What a document must look like, kind by kind, and how faults are said."""

from __future__ import annotations

import copy

import pytest

from answerable.core.registry.documents.capability import ArgumentMapping, ResourceMapping
from answerable.core.registry.documents.documents import (
    Agent,
    GrantTemplate,
    MandateTemplate,
    PolicySetDocument,
    Server,
    TemplateParameter,
)
from answerable.core.registry.parsing.active import faults_of, snapshot_of
from answerable.core.registry.parsing.parse import DOCUMENTS_MAX, shapes_of
from answerable.testing.samples import POLICIES, document, registry_documents, signing_key
from tests.worlds.registry import check_fault, only_fault, with_change


def test_the_sample_registry_has_no_fault():
    assert faults_of(registry_documents()) == ()


def test_every_kind_becomes_its_noun():
    nouns = {f"{found.kind}/{found.name}": found.noun for found in shapes_of(registry_documents()).nouns}
    assert len(nouns) == len(registry_documents())
    assert nouns["Principal/alice"].groups == ("approvers",)
    assert nouns["Principal/alice"].keys == (signing_key("alice").public,)
    assert nouns["Server/crm"] == Server(
        name="crm", command="crm-server", args=("--read-only",), cwd="/srv/crm"
    )
    assert nouns["PolicySet/house"] == PolicySetDocument(name="house", policies=POLICIES)
    refund = nouns["Capability/crm.refund"]
    assert refund.method == "tools/call"
    assert refund.resource == ResourceMapping(type="Case", argument="case")
    assert refund.arguments[1] == ArgumentMapping(name="amount", type="minor_units", required=True)
    assert nouns["MandateTemplate/one-case"] == MandateTemplate(
        name="one-case",
        use_case="support",
        agent="scout",
        purpose="Answer case {case}",
        grants=(
            GrantTemplate(capability="crm.read", resources=("{case}",)),
            GrantTemplate(capability="crm.refund", resources=("{case}",), maxima=(("amount", 5000),)),
        ),
        parameters=(TemplateParameter(name="case", pattern="[0-9]{4}"),),
        environment="production",
        calls_max=20,
        ttl_seconds=3600,
    )


def test_a_template_that_does_not_say_how_often_or_how_long_is_for_a_hundred_actions_in_an_hour() -> None:
    documents = registry_documents()
    (template,) = (one for one in documents if one["kind"] == "MandateTemplate")
    del template["spec"]["callsMax"], template["spec"]["ttlSeconds"]
    found = snapshot_of(documents).templates["one-case"]
    assert (found.calls_max, found.ttl_seconds) == (100, 3600)


@pytest.mark.parametrize(
    ("name", "path", "value", "at", "code", "says"),
    [
        (
            "scout",
            ["spec", "usecase"],
            "x",
            "/spec/usecase",
            "document.unknown_key",
            "did you mean `useCase`?",
        ),
        (
            "scout",
            ["spec", "zzz"],
            1,
            "/spec/zzz",
            "document.unknown_key",
            "known here: useCase, environment",
        ),
        ("scout", ["metadata", "labels"], {}, "/metadata/labels", "document.unknown_key", "known here: name"),
        ("scout", ["Spec"], {}, "/Spec", "document.unknown_key", "did you mean `spec`?"),
        (
            "scout",
            ["spec", "ownership", "ownr"],
            "x",
            "/spec/ownership/ownr",
            "document.unknown_key",
            "`owner`?",
        ),
        (
            "scout",
            ["apiVersion"],
            "answerable/v2",
            "/apiVersion",
            "document.api_version",
            "got `answerable/v2`",
        ),
        ("scout", ["kind"], "agent", "/kind", "document.kind", "did you mean `Agent`?"),
        ("scout", ["kind"], 7, "/kind", "document.kind", "a number is not known; known here: Principal"),
        ("scout", ["metadata", "name"], "Scout", "/metadata/name", "name.invalid", "`Scout` is not a name"),
        ("scout", ["spec", "environment"], ..., "/spec", "document.missing", "`environment` is missing"),
        ("scout", ["spec", "environment"], True, "/spec/environment", "document.type", "quote it"),
        ("scout", ["spec", "environment"], None, "/spec/environment", "document.type", "got nothing"),
        ("scout", ["spec", "environment"], "", "/spec/environment", "document.empty", "an empty one"),
        ("scout", ["spec", "status"], "Active", "/spec/status", "document.choice", "did you mean `active`?"),
        ("scout", ["spec", "status"], [1], "/spec/status", "document.choice", "a list is not allowed"),
        ("scout", ["spec", "keys"], {}, "/spec/keys", "document.type", "expected a list, got a mapping"),
        ("scout", ["spec", "keys"], ["x"], "/spec/keys/0", "document.type", "expected a JWK"),
        (
            "scout",
            ["spec", "keys"],
            [{"kty": "oct"}],
            "/spec/keys/0",
            "key.kind",
            "expected a key of kty OKP",
        ),
        ("scout", ["spec", "unixUids"], [-1], "/spec/unixUids/0", "document.range", "a Unix user id"),
        (
            "scout",
            ["spec", "unixUids"],
            [5, 5],
            "/spec/unixUids/1",
            "document.duplicate",
            "5 is listed twice",
        ),
        (
            "scout",
            ["spec", "certificates"],
            ["AB"],
            "/spec/certificates/0",
            "document.pattern",
            "64 lower-case",
        ),
        (
            "scout",
            ["spec", "attestation"],
            ["unix:uid:1"],
            "/spec/attestation/0",
            "document.type",
            "selectors",
        ),
        ("scout", ["spec", "attestation"], [[]], "/spec/attestation/0", "document.type", "an empty one"),
        ("scout", ["spec", "attestation"], [[1]], "/spec/attestation/0/0", "document.type", "expected text"),
        (
            "scout",
            ["spec", "attestation"],
            [["unix:uid:1", "unix:user:x"]],
            "/spec/attestation/0/1",
            "attestation.selector",
            "`unix:user:x` is not a selector",
        ),
        (
            "scout",
            ["spec", "attestation"],
            [["unix:uid:1", "unix:uid:1"]],
            "/spec/attestation/0/1",
            "document.duplicate",
            "listed twice",
        ),
        (
            "scout",
            ["spec", "attestation"],
            [["unix:uid:1", "unix:gid:2"], ["unix:gid:2", "unix:uid:1"]],
            "/spec/attestation/1",
            "document.duplicate",
            "the same set",
        ),
        (
            "scout",
            ["spec", "attestation"],
            [[f"unix:uid:{n}" for n in range(65)]],
            "/spec/attestation/0",
            "document.size",
            "at most 64",
        ),
        (
            "scout",
            ["spec", "attestation"],
            [[f"unix:uid:{n}"] for n in range(65)],
            "/spec/attestation",
            "document.size",
            "at most 64",
        ),
        ("scout", ["spec", "drift"], "ignore", "/spec/drift", "document.choice", "known here: refuse, mark"),
        ("scout", ["spec", "broker"], "yes", "/spec/broker", "document.type", "true or false"),
        ("scout", ["spec", "tenant"], "North", "/spec/tenant", "name.invalid", "tenant `North`"),
        ("crm", ["spec", "tenant"], "North", "/spec/tenant", "name.invalid", "tenant `North`"),
        ("alice", ["spec", "status"], "gone", "/spec/status", "document.choice", "active, disabled"),
        (
            "scout",
            ["spec", "ownership", "reviewDate"],
            "2027-02-30",
            "/spec/ownership/reviewDate",
            "document.date",
            "",
        ),
        (
            "scout",
            ["spec", "ownership", "reviewDate"],
            "20270201",
            "/spec/ownership/reviewDate",
            "document.date",
            "",
        ),
        (
            "scout",
            ["spec", "ownership", "auditLevel"],
            "most",
            "/spec/ownership/auditLevel",
            "document.choice",
            "",
        ),
        (
            "alice",
            ["spec", "groups"],
            ["a", "a"],
            "/spec/groups/1",
            "document.duplicate",
            "`a` is listed twice",
        ),
        ("alice", ["spec", "groups"], [1], "/spec/groups/0", "document.type", "expected text, got a number"),
        ("support", ["spec", "purpose"], "x" * 501, "/spec/purpose", "document.size", "at most 500"),
        ("support", ["spec"], ..., "", "document.missing", "`spec` is missing"),
        ("support", ["spec"], [], "/spec", "document.type", "expected a mapping, got a list"),
        ("crm", ["spec", "url"], "http://x", "/spec", "server.transport", "`target`"),
        (
            "crm",
            ["spec", "callSecondsMax"],
            0,
            "/spec/callSecondsMax",
            "document.range",
            "expected 1 to 3600",
        ),
        ("crm", ["spec", "callSecondsMax"], "9", "/spec/callSecondsMax", "document.type", "got text `9`"),
        ("crm", ["spec", "callSecondsMax"], True, "/spec/callSecondsMax", "document.type", "true or false"),
        ("crm", ["spec", "env"], [], "/spec/env", "document.type", "expected a mapping"),
        ("crm", ["spec", "env"], {"A-B": "x"}, "/spec/env/A-B", "document.pattern", "environment variable"),
        ("crm", ["spec", "env"], {"A": 1}, "/spec/env/A", "document.type", "quote it"),
        (
            "crm",
            ["spec", "env"],
            {"API_TOKEN": "abc"},
            "/spec/env/API_TOKEN",
            "server.secret_value",
            "env:NAME",
        ),
        ("crm", ["spec", "env"], {"db_password": "abc"}, "/spec/env/db_password", "server.secret_value", ""),
        ("crm", ["spec", "command"], "a\x00b", "/spec/command", "document.pattern", "zero character"),
        ("house", ["spec", "policies"], "", "/spec/policies", "document.empty", ""),
    ],
)
def test_each_fault_says_where_and_what(name, path, value, at, code, says):
    check_fault(name, path, value, at, code, says)


def test_a_private_key_is_refused_and_never_shown():
    secret = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
    key = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "d": secret}
    fault = only_fault("scout", ["spec", "keys"], [key])
    assert fault.code == "key.private"
    assert secret[:8] not in fault.message


def test_the_same_key_twice_is_a_fault():
    documents, _ = with_change("scout", ["spec", "unixUids"], [])
    keys = documents[3]["spec"]["keys"]
    keys.append(copy.deepcopy(keys[0]))
    assert next(fault.path for fault in faults_of(documents)) == "/spec/keys/1"


@pytest.mark.parametrize(
    "env",
    [
        {"API_TOKEN": "env:X"},
        {"API_TOKEN": "file:/x"},
        {"TOKEN_FILE": "/run/x"},
        {"MODE": "plain"},
        {"KEYBOARD": "x"},
    ],
)
def test_what_is_no_secret_or_only_refers_to_one_is_fine(env):
    documents, _ = with_change("crm", ["spec", "env"], env)
    assert faults_of(documents) == ()


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://tools.example/mcp", True),
        ("http://127.0.0.1:8080/mcp?x=1", True),
        ("http://[::1]:8080", True),
        ("https://user:secret@tools.example/", False),
        ("ftp://tools.example/", False),
        ("https://tools.example/#x", False),
        ("https://tools.example/ x", False),
    ],
)
def test_a_server_by_url_takes_http_without_user_or_fragment(url, fine):
    faults = faults_of([document("Server", "x", {"url": url})])
    assert (faults == ()) is fine


def test_what_goes_with_a_command_does_not_go_with_a_url():
    faults = faults_of([document("Server", "x", {"url": "http://x", "args": [], "env": {}, "cwd": "/"})])
    assert [fault.path for fault in faults] == ["/spec/args", "/spec/env", "/spec/cwd"]
    assert [fault.path for fault in faults_of([document("Server", "x", {})])] == ["/spec"]


@pytest.mark.requirement("REG-01")
def test_all_faults_of_all_documents_are_found_at_once():
    documents = registry_documents()
    documents[2]["spec"]["porpoise"] = "x"
    documents[2]["spec"]["purpose"] = 7
    documents[4]["spec"]["args"] = "x"
    documents.append("not a document")
    documents.append(document("Agent", "scout", documents[3]["spec"]))
    found = [(fault.document, fault.path) for fault in faults_of(documents)]
    assert found == [
        (2, "/spec/porpoise"),
        (2, "/spec/purpose"),
        (4, "/spec/args"),
        (9, ""),
        (10, "/metadata/name"),
    ]


def test_too_many_documents_or_items_are_refused():
    assert faults_of([None] * (DOCUMENTS_MAX + 1))[0].code == "document.count"
    assert only_fault("alice", ["spec", "groups"], [f"g{i}" for i in range(1001)]).code == "document.size"
    env = {f"V{i}": "x" for i in range(1001)}
    assert only_fault("crm", ["spec", "env"], env).code == "document.size"


def test_what_an_agent_is_known_by_is_read_sorted_and_has_safe_defaults():
    documents, _ = with_change("scout", ["spec", "attestation"], [["unix:uid:7", "unix:path:/opt/a"]])
    documents[3]["spec"].update(drift="mark", broker=True)
    nouns = {found.name: found.noun for found in shapes_of(documents).nouns}
    agent = nouns["scout"]
    assert isinstance(agent, Agent)
    assert agent.attestation == (("unix:path:/opt/a", "unix:uid:7"),)
    assert (agent.drift, agent.broker) == ("mark", True)
    plain = {found.name: found.noun for found in shapes_of(registry_documents()).nouns}["scout"]
    assert isinstance(plain, Agent)
    assert (plain.attestation, plain.drift, plain.broker) == ((), "refuse", False)
