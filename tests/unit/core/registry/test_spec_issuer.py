"""Documents of those who give mandates, and of where capabilities send things: every fault is found, with its place."""

from __future__ import annotations

import pytest

from answerable.core.registry.parsing.active import faults_of, findings, inactive, snapshot_of
from tests.worlds.mandate import changed, documents

GOOD = documents()


def faults(kind: str, name: str, **spec) -> list[tuple[str, str]]:
    return [(fault.path, fault.code) for fault in faults_of(changed(GOOD, kind, name, **spec))]


def test_the_documents_are_in_force():
    assert faults_of(GOOD) == ()
    assert inactive(GOOD) == []
    snapshot = snapshot_of(GOOD)
    assert snapshot.applications["portal"].use_cases == ("support",)
    assert snapshot.schedules["nightly"].rule.at == (660,)
    assert snapshot.capabilities["mail.send"].destination.arguments == ("to", "cc")


RULES = [
    ({"at": ["11:00"], "everyMinutes": 5, "until": "2027-01-01"}, "", "schedule.rule"),
    ({"until": "2027-01-01"}, "", "schedule.rule"),
    ({"at": ["11:00"]}, "", "document.missing"),
    ({"at": [], "until": "2027-01-01"}, "/at", "document.size"),
    ({"at": ["24:00"], "until": "2027-01-01"}, "/at/0", "document.pattern"),
    ({"at": ["1:00"], "until": "2027-01-01"}, "/at/0", "document.pattern"),
    ({"everyMinutes": 0, "until": "2027-01-01"}, "/everyMinutes", "document.range"),
    ({"at": ["11:00"], "until": "2027-13-01"}, "/until", "document.date"),
    ({"at": ["11:00"], "from": "2027-01-02", "until": "2027-01-01"}, "/until", "schedule.rule"),
    ({"at": ["11:00"], "days": ["monday"], "until": "2027-01-01"}, "/days/0", "document.choice"),
    (
        {"at": ["11:00"], "withinMinutes": 31, "until": "2027-01-01"},
        "/withinMinutes",
        "reference.ends_before",
    ),
    ({"at": ["11:00"], "cron": "* * * * *", "until": "2027-01-01"}, "/cron", "document.unknown_key"),
]


@pytest.mark.parametrize(("rule", "path", "code"), RULES)
def test_a_rule_that_is_not_one_is_a_fault(rule, path, code):
    assert (f"/spec/rule{path}", code) in faults("Schedule", "nightly", rule=rule)


@pytest.mark.parametrize(
    ("values", "path", "code"),
    [
        ({"day": "{date}"}, "", "reference.parameter"),
        ({"day": "{date}", "domain": "x.test", "more": "y"}, "/more", "reference.parameter"),
        ({"day": "{today}", "domain": "x.test"}, "/day", "template.placeholder"),
        ({"day": "{", "domain": "x.test"}, "/day", "template.placeholder"),
        ({"day": 7, "domain": "x.test"}, "/day", "document.type"),
        ({"day": "x" * 201, "domain": "x.test"}, "/day", "document.type"),
    ],
)
def test_values_that_do_not_fill_the_template_are_a_fault(values, path, code):
    assert (f"/spec/values{path}", code) in faults("Schedule", "nightly", values=values)


def test_a_schedule_names_a_template_that_exists_and_is_named_shortly():
    assert ("/spec/template", "reference.missing") in faults("Schedule", "nightly", template="nobody")
    long = [{**one, "metadata": {"name": "n" * 41}} if one["kind"] == "Schedule" else one for one in GOOD]
    assert "document.size" in [fault.code for fault in faults_of(long)]


@pytest.mark.parametrize(
    ("oidc", "path"),
    [
        ({"issuer": "https://login.test"}, ""),
        ({"issuer": "login.test", "subject": "s"}, "/issuer"),
        ({"issuer": "https://login.test", "subject": "  "}, "/subject"),
        ({"issuer": "https://login.test", "subject": "s", "email": "a@b.test"}, "/email"),
    ],
)
def test_a_person_of_an_issuer_has_both_names(oidc, path):
    assert f"/spec/oidc{path}" in [found for found, _ in faults("Principal", "alice", oidc=oidc)]


def test_an_application_says_for_which_use_cases():
    assert ("/spec/useCases", "document.missing") in faults("Application", "portal", useCases=[])
    assert ("/spec/useCases/0", "reference.missing") in faults("Application", "portal", useCases=["sales"])


@pytest.mark.parametrize(
    ("destination", "path", "code"),
    [
        ({"type": "email"}, "", "capability.destination"),
        ({"type": "email", "arguments": []}, "", "capability.destination"),
        ({"type": "email", "arguments": ["to"], "fixed": "a@b.test"}, "", "capability.destination"),
        ({"type": "phone", "arguments": ["to"]}, "/type", "document.choice"),
        ({"type": "email", "fixed": "nobody"}, "/fixed", "destination.invalid"),
        ({"type": "email", "arguments": ["a b"]}, "/arguments/0", "document.pattern"),
        ({"type": "email", "arguments": [f"a{n}" for n in range(17)]}, "/arguments", "document.size"),
    ],
)
def test_a_destination_that_cannot_be_told_is_a_fault(destination, path, code):
    assert (f"/spec/destination{path}", code) in faults("Capability", "mail.send", destination=destination)


def test_a_resource_is_sent_where_its_address_says():
    uri = {"method": "resources/read", "target": "crm://mail/{to}", "arguments": []}
    fits = {**uri, "destination": {"type": "host", "arguments": ["to"]}}
    assert not any("destination" in path for path, _ in faults("Capability", "mail.post", **fits))
    other = {**uri, "destination": {"type": "host", "arguments": ["url"]}}
    assert ("/spec/destination/arguments/0", "capability.destination") in faults(
        "Capability", "mail.post", **other
    )


def grants(**destinations):
    return [{"capability": "mail.send", "destinations": destinations}]


@pytest.mark.parametrize(
    ("given", "path", "code"),
    [
        (grants(type="host", oneOf=["{domain}"]), "", "reference.destination"),
        (grants(type="email", oneOf=["Example.com", "{domain}"]), "/oneOf/0", "destination.invalid"),
        (grants(type="email", oneOf=[]), "/oneOf", "document.size"),
        (grants(type="email", oneOf=["{domains}"]), "/oneOf/0", "template.placeholder"),
    ],
)
def test_destinations_of_a_grant_that_fit_nothing_are_a_fault(given, path, code):
    found = faults("MandateTemplate", "mail-report", grants=given)
    assert (f"/spec/grants/0/destinations{path}", code) in found


@pytest.mark.parametrize(
    ("spec", "path", "code"),
    [
        ({"ceiling": "public"}, "/grants/0/capability", "reference.beyond_limits"),
        ({"kinds": ["read"]}, "/grants/0/capability", "reference.beyond_limits"),
        ({"systems": ["files"]}, "/grants/0/capability", "reference.beyond_limits"),
        ({"systems": ["files"]}, "/systems/0", "reference.missing"),
        ({"ceiling": "secret"}, "/ceiling", "document.choice"),
        ({"kinds": ["send"]}, "/kinds/0", "document.choice"),
        ({"delegation": {"depthMax": 2}}, "/delegation", "template.delegation"),
        ({"delegation": {"depthMax": 0, "agents": ["rover"]}}, "/delegation/depthMax", "document.range"),
        ({"delegation": {"agents": ["nobody"]}}, "/delegation/agents/0", "reference.missing"),
        ({"delegation": {"useCases": ["sales"]}}, "/delegation/useCases/0", "reference.missing"),
        ({"delegation": {"groups": ["nobodies"]}}, "/delegation/groups/0", "reference.missing"),
    ],
)
def test_limits_that_leave_nothing_or_name_nobody_are_a_fault(spec, path, code):
    assert (f"/spec{path}", code) in faults("MandateTemplate", "mail-report", **spec)


def test_who_cannot_sign_or_was_not_reviewed_is_named():
    bare = changed(changed(GOOD, "Schedule", "nightly", keys=[]), "Application", "portal", keys=[])
    notes = {(one.kind, one.code) for one in findings(bare, today="2028-01-01")}
    assert {
        ("Schedule", "registry.issuer_without_key"),
        ("Application", "registry.issuer_without_key"),
    } <= notes
    assert ("Schedule", "registry.review_overdue") in notes


def test_without_an_owner_a_schedule_is_not_in_force():
    unowned = changed(GOOD, "Schedule", "nightly", ownership={"owner": "alice"})
    (found,) = [one for one in inactive(unowned) if one.kind == "Schedule"]
    assert "backupOwner" in found.missing
    assert "nightly" not in snapshot_of(unowned).schedules
