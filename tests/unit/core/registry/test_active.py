"""What becomes active, what does not, and why."""

from __future__ import annotations

import copy

import pytest

from answerable.core.registry.parsing.active import (
    digest_of,
    documents_in,
    faults_of,
    findings,
    inactive,
    snapshot_of,
    stored_form,
)
from answerable.core.registry.parsing.parse import document_key
from answerable.errors import Malformed
from answerable.testing.samples import document, registry_documents

TODAY = "2026-11-24"


def changed(name, change):
    documents = copy.deepcopy(registry_documents())
    spec = next(d["spec"] for d in documents if d["metadata"]["name"] == name)
    change(spec)
    return documents


def reasons(documents):
    return {(found.kind, found.name): found.reasons for found in inactive(documents)}


def test_everything_complete_is_active():
    snapshot = snapshot_of(registry_documents())
    assert set(snapshot.principals) == {"alice", "bob"}
    assert set(snapshot.use_cases) == {"support"}
    assert set(snapshot.agents) == {"scout"}
    assert not snapshot.idle_agents
    assert set(snapshot.servers) == {"crm"}
    assert set(snapshot.capabilities) == {"crm.read", "crm.refund"}
    assert set(snapshot.templates) == {"one-case"}
    assert set(snapshot.policy_sets) == {"house"}
    assert inactive(registry_documents()) == []


@pytest.mark.parametrize("field", ["owner", "backupOwner", "approverGroup", "auditLevel", "reviewDate"])
@pytest.mark.requirement("REG-02")
def test_without_any_one_field_of_ownership_nothing_becomes_active(field):
    documents = changed("support", lambda spec: spec["ownership"].pop(field))
    assert faults_of(documents) == ()
    snapshot = snapshot_of(documents)
    assert not snapshot.use_cases
    assert not snapshot.agents
    assert not snapshot.templates
    assert set(snapshot.capabilities) == {"crm.read", "crm.refund"}
    found = inactive(documents)
    assert found[0].missing == (field,)
    assert reasons(documents) == {
        ("UseCase", "support"): (f"ownership lacks {field}: write it into the document",),
        ("Agent", "scout"): ("its use case `support` is not active",),
        ("MandateTemplate", "one-case"): (
            "its use case `support` is not active",
            "its agent `scout` is not active",
        ),
    }


@pytest.mark.requirement("REG-02")
def test_an_agent_without_ownership_takes_only_what_depends_on_it_along():
    documents = changed("scout", lambda spec: spec.pop("ownership"))
    assert set(reasons(documents)) == {("Agent", "scout"), ("MandateTemplate", "one-case")}
    assert inactive(documents)[0].missing == (
        "owner",
        "backupOwner",
        "approverGroup",
        "auditLevel",
        "reviewDate",
    )


@pytest.mark.requirement("REG-02")
def test_a_capability_without_ownership_is_gone_from_the_snapshot():
    documents = changed("crm.refund", lambda spec: spec.pop("ownership"))
    assert set(snapshot_of(documents).capabilities) == {"crm.read"}
    assert "its capability `crm.refund` is not active" in reasons(documents)["MandateTemplate", "one-case"]


@pytest.mark.parametrize("status", ["suspended", "retired"])
def test_a_suspended_or_retired_agent_is_not_active(status):
    documents = changed("scout", lambda spec: spec.update(status=status))
    assert not snapshot_of(documents).agents
    assert reasons(documents)["Agent", "scout"] == (f"its status is {status}",)


@pytest.mark.parametrize(
    ("name", "change", "at", "says"),
    [
        (
            "scout",
            {"useCase": "suport"},
            "/spec/useCase",
            "no UseCase is called `suport`; did you mean `support`?",
        ),
        ("crm.read", {"server": "erp"}, "/spec/server", "no Server is called `erp`"),
        ("one-case", {"agent": "scot"}, "/spec/agent", "did you mean `scout`?"),
        ("one-case", {"environment": "staging"}, "/spec/grants/0/capability", "only in `staging`"),
    ],
)
def test_what_points_at_something_missing_is_a_fault_and_not_active(name, change, at, says):
    documents = changed(name, lambda spec: spec.update(change))
    faults = faults_of(documents)
    assert faults[0].kind == "reference"
    assert faults[0].path == at
    assert says in faults[0].message
    assert name in {found.name for found in inactive(documents)}


@pytest.mark.parametrize(
    ("change", "at", "says"),
    [
        ({"owner": "alise"}, "owner", "no Principal is called `alise`; did you mean `alice`?"),
        ({"backupOwner": "carol"}, "backupOwner", "no Principal is called `carol`"),
        ({"backupOwner": "alice"}, "backupOwner", "owner and backupOwner are both `alice`"),
        ({"approverGroup": "aprovers"}, "approverGroup", "no principal is in group `aprovers`; did you mean"),
    ],
)
def test_ownership_names_people_and_groups_that_exist(change, at, says):
    documents = changed("support", lambda spec: spec["ownership"].update(change))
    (fault,) = faults_of(documents)
    assert fault.path == f"/spec/ownership/{at}"
    assert says in fault.message
    assert not snapshot_of(documents).use_cases


def test_issuer_groups_have_members():
    documents = changed("support", lambda spec: spec.update(issuers=["approvers", "leads"]))
    (fault,) = faults_of(documents)
    assert (fault.path, fault.message) == ("/spec/issuers/1", "no principal is in group `leads`")


def test_a_template_names_the_use_case_of_its_agent():
    documents = changed("one-case", lambda spec: spec.update(useCase="sales"))
    documents.append(document("UseCase", "sales", registry_documents()[2]["spec"]))
    (fault,) = faults_of(documents)
    assert fault.message == "agent `scout` belongs to use case `support`"


@pytest.mark.parametrize(
    ("grant", "at"),
    [
        ({"capability": "crm.raed"}, "capability"),
        ({"capability": "crm.refund", "arguments": {"amount": "{case}"}}, "arguments/amount"),
        ({"capability": "crm.refund", "arguments": {"amount": "12"}}, "arguments/amount"),
        ({"capability": "crm.refund", "arguments": {"amount": True}}, "arguments/amount"),
        ({"capability": "crm.read", "maxima": {"case": 5}}, "maxima/case"),
    ],
)
def test_a_grant_that_could_never_cover_anything_is_a_fault(grant, at):
    documents = changed("one-case", lambda spec: spec["grants"].append(grant))
    (fault,) = faults_of(documents)
    assert fault.path == f"/spec/grants/2/{at}"


def test_a_set_takes_no_exact_value():
    tags = {"name": "tags", "type": "string_set"}
    documents = changed("crm.read", lambda spec: spec["arguments"].append(tags))
    documents[7]["spec"]["grants"].append({"capability": "crm.read", "arguments": {"tags": "x"}})
    assert faults_of(documents)[0].path == "/spec/grants/2/arguments/tags"


def test_values_of_the_right_type_or_of_arguments_nobody_mapped_are_fine():
    grant = {"capability": "crm.refund", "arguments": {"amount": 5, "case": "{case}", "other": True}}
    assert faults_of(changed("one-case", lambda spec: spec["grants"].append(grant))) == ()
    typed = {"name": "amount", "pattern": "[0-9]+", "type": "minor_units"}
    documents = changed("one-case", lambda spec: spec["parameters"].append(typed))
    documents[7]["spec"]["grants"].append({"capability": "crm.refund", "arguments": {"amount": "{amount}"}})
    assert faults_of(documents) == ()


@pytest.mark.requirement("REG-04")
def test_a_target_claimed_twice_resolves_to_neither():
    spec = {**registry_documents()[6]["spec"], "target": "get_case"}
    documents = [*registry_documents(), document("Capability", "crm.other", spec)]
    assert {fault.code for fault in faults_of(documents)} == {"reference.claimed_twice"}
    assert set(snapshot_of(documents).capabilities) == {"crm.refund"}


@pytest.mark.requirement("REG-04")
def test_uri_templates_that_differ_in_names_only_are_the_same_claim():
    spec = {**registry_documents()[5]["spec"], "method": "resources/read", "arguments": []}
    one = {**spec, "target": "crm://{a}", "resource": {"type": "Case", "argument": "a"}}
    two = {**spec, "target": "crm://{b}", "resource": {"type": "Case", "argument": "b"}}
    documents = [
        *registry_documents(),
        document("Capability", "one", one),
        document("Capability", "two", two),
    ]
    assert [fault.message for fault in faults_of(documents)] == [
        "this target is also claimed by Capability `two`",
        "this target is also claimed by Capability `one`",
    ]


@pytest.mark.parametrize("channel", [{"unixUids": [7]}, {"certificates": ["ab" * 32]}, {"keys": ...}])
@pytest.mark.requirement("REG-04")
def test_a_proof_that_two_agents_could_give_proves_neither(channel):
    documents = registry_documents()
    agent = documents[3]["spec"]
    if "keys" in channel:
        channel = {"keys": agent["keys"]}
    agent.update(channel)
    documents.append(document("Agent", "twin", {**agent, "keys": [], **channel}))
    assert not snapshot_of(documents).agents


@pytest.mark.requirement("REG-04")
def test_a_key_shared_by_a_person_and_an_agent_is_neithers():
    documents = changed("scout", lambda spec: spec.update(keys=registry_documents()[0]["spec"]["keys"]))
    snapshot = snapshot_of(documents)
    assert set(snapshot.principals) == {"bob"}
    assert not snapshot.agents
    assert "its principal `alice` is not active" in reasons(documents)["UseCase", "support"]


def test_one_unreadable_document_does_not_bring_faults_on_those_that_name_it():
    documents = changed("alice", lambda spec: spec.update(nonsense=1))
    documents[2]["spec"]["nonsense"] = 1
    assert [fault.path for fault in faults_of(documents)] == ["/spec/nonsense", "/spec/nonsense"]


def test_no_snapshot_is_made_of_documents_at_fault_lest_a_forbid_be_dropped():
    documents = changed("house", lambda spec: spec.update(polices="x", more=1))
    with pytest.raises(
        Malformed, match=r"document 9, /spec/polices: unknown key `polices`; did you .*1 more fault"
    ):
        snapshot_of(documents)
    with pytest.raises(Malformed):
        inactive(documents)
    with pytest.raises(Malformed):
        findings(documents, today=TODAY)


def test_the_digest_is_of_the_set_and_not_of_its_order():
    documents = registry_documents()
    assert digest_of(documents) == digest_of(documents[::-1]) == snapshot_of(documents).digest
    one, other = snapshot_of(documents), snapshot_of(documents[::-1])
    assert one == other
    assert [*one.capabilities] == [*other.capabilities]
    assert digest_of(documents[1:]) != digest_of(documents)


def test_documents_survive_being_stored():
    stored = stored_form(registry_documents())
    assert sorted(stored) == [document_key(found) for found in documents_in(stored)]
    assert stored_form(documents_in(stored)) == stored


def test_stored_documents_have_names_and_only_their_own():
    with pytest.raises(Malformed):
        stored_form([{"kind": "Agent"}])
    with pytest.raises(Malformed):
        stored_form([registry_documents()[0]] * 2)
    with pytest.raises(Malformed):
        documents_in({"Principal/carol": stored_form(registry_documents())["Principal/bob"]})


def test_the_check_finds_what_an_owner_should_look_at():
    documents = changed(
        "scout", lambda spec: (spec.pop("keys"), spec["ownership"].update(reviewDate="2026-11-23"))
    )
    documents[1]["spec"]["groups"] = []
    documents[0]["spec"]["keys"] = []
    found = [(f.name, f.code, f.message) for f in findings(documents, today=TODAY)]
    few = "approver group `approvers` has 1 members, expected at least 2"
    assert found == [
        ("alice", "registry.approver_without_key", "is in a group but has no key, so cannot sign an answer"),
        ("support", "registry.approvers_few", few),
        (
            "scout",
            "registry.agent_without_proof",
            "has no key, Unix user id, certificate or attestation, so it cannot prove its identity",
        ),
        ("scout", "registry.review_overdue", "is overdue for review since 2026-11-23"),
        ("scout", "registry.approvers_few", few),
        ("crm.read", "registry.approvers_few", few),
        ("crm.refund", "registry.approvers_few", few),
    ]
    assert findings(registry_documents(), today=TODAY) == []


def test_a_disabled_principal_takes_down_what_needs_it_and_counts_in_no_group():
    documents = changed("alice", lambda spec: spec.update(status="disabled"))
    snapshot = snapshot_of(documents)
    assert "alice" not in snapshot.principals
    assert not snapshot.agents
    assert not snapshot.capabilities
    down = {(one.kind, one.name): one.reasons for one in inactive(documents)}
    assert down["Principal", "alice"] == ("its status is disabled",)
    assert "its principal `alice` is not active" in down["Agent", "scout"]
    few = {f.name for f in findings(documents, today=TODAY) if f.code == "registry.approvers_few"}
    assert "scout" in few


def test_attestation_is_a_proof():
    documents = changed("scout", lambda spec: (spec.pop("keys"), spec.update(attestation=[["unix:uid:7"]])))
    assert findings(documents, today=TODAY) == []


def test_a_set_of_selectors_that_two_agents_claim_is_neithers():
    documents = changed("scout", lambda spec: spec.update(attestation=[["unix:uid:7", "unix:gid:7"]]))
    twin = copy.deepcopy(next(one for one in documents if one["metadata"]["name"] == "scout"))
    twin["metadata"]["name"] = "twin"
    twin["spec"].update(keys=[], attestation=[["unix:gid:7", "unix:uid:7"]])
    both = [*documents, twin]
    faults = faults_of(both)
    assert {fault.path for fault in faults} == {"/spec/attestation/0"}
    assert {fault.code for fault in faults} == {"reference.claimed_twice"}
    assert "scout" not in snapshot_of(both).agents
