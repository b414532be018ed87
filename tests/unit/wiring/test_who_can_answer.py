"""Whether enough people could ever answer what a policy set asks, by all that they can sign with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from answerable.core.approval.assurance_level import SignedWith
from answerable.core.canonical import JSONValue, parse
from answerable.testing.samples import document, signing_key
from answerable.wiring.policy_directory import check_set
from tests.worlds.policy_set import registry_documents, write_schema

pytestmark = pytest.mark.requirement("REPLY-09")


def person(
    name: str, *groups: str, key: bool = False, oidc: bool = False, status: str = "active"
) -> JSONValue:
    spec: dict[str, JSONValue] = {"groups": [*groups], "status": status}
    if key:
        spec["keys"] = [parse(signing_key(name).public.jwk.encode())]
    if oidc:
        spec["oidc"] = {"issuer": "https://id.example", "subject": name}
    return document("Principal", name, spec)


def faults(folder: Path, asks: str, people: list[JSONValue], **known: Any) -> list[tuple[str, str]]:
    groups = sorted({one for group in asks.split(" and ") for one in group.partition(":")[0].split("|")})
    (folder / "set.yaml").write_text(
        f"name: own\ngroups: [{', '.join(f'{{name: {one}, membersMin: 1}}' for one in groups)}]\n"
    )
    (folder / "rules.cedar").write_text(
        '@id("reads") permit(principal, action == Action::"crm.case-read", resource);\n'
        f'@id("ask") @reason("people look") @approve("{asks}")\n'
        'forbid(principal, action == Action::"crm.case-read", resource) when { context.task.purpose == "x" };\n'
    )
    write_schema(folder)
    checked = check_set(folder, [*registry_documents(), *people], known=SignedWith(**known))
    return [(one.code, one.message) for one in checked.faults if one.code.startswith("group.")]


def test_whoever_has_a_passkey_or_signs_in_by_a_provider_can_answer(tmp_path):
    people = [person("p1", "desk2"), person("p2", "desk2", oidc=True), person("p3", "desk2", key=True)]
    assert faults(tmp_path, "desk2:3", people, passkeys={"p1": "passkey"}) == []
    (told,) = faults(tmp_path, "desk2:3", people)
    assert told[0] == "group.too_few"
    assert "but only 2 of them can answer" in told[1]


def test_a_person_of_two_groups_that_are_asked_together_is_one(tmp_path):
    both = [person("p1", "desk2", "desk3", key=True)]
    (told,) = faults(tmp_path, "desk2|desk3:2", both)
    assert told[0] == "group.too_few"
    assert "but only 1 of them can answer" in told[1]
    assert faults(tmp_path, "desk2|desk3:2", [*both, person("p2", "desk3", key=True)]) == []


def test_a_tier_that_wants_more_than_people_have_is_told(tmp_path):
    people = [person("p1", "desk2", key=True), person("p2", "desk2", key=True)]
    strict = {"signatures": ("passkey", "passkey", "passkey", "hardware")}
    (told,) = faults(tmp_path, "desk2:1", people, **strict)
    assert told[0] == "group.too_weak"
    assert "needs a passkey, which only 0 of them have" in told[1]
    assert faults(tmp_path, "desk2:1", people, passkeys={"p1": "passkey"}, **strict) == []
    hard = {"signatures": ("hardware",) * 4}
    (told,) = faults(tmp_path, "desk2:1", people, passkeys={"p1": "passkey"}, **hard)
    assert "cannot be copied" in told[1]
    assert faults(tmp_path, "desk2:1", people, passkeys={"p1": "hardware"}, **hard) == []


def test_a_passkey_of_somebody_who_left_answers_nothing(tmp_path):
    people = [person("p1", "desk2", status="disabled"), person("p2", "desk2")]
    (few, empty) = faults(tmp_path, "desk2:1", people, passkeys={"p1": "hardware"})
    assert {few[0], empty[0]} == {"group.too_few", "group.empty"}
