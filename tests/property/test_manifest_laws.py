"""Laws of manifests: one form and digest, what was signed is verified, claims match nothing, order is nothing."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from answerable.adapters.project_files.collecting import files_digest
from answerable.core.canonical import encode, parse
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.identity.workload.evidence import GRADES
from answerable.core.registry.manifests.manifest import (
    MANIFEST_FIELDS,
    Manifest,
    form_of,
    manifest_digest,
    manifest_document,
    manifest_in,
    manifest_of,
)
from answerable.core.registry.manifests.manifest_drift import Measured, drift, drifted_fields, merged
from answerable.core.registry.manifests.manifest_token import (
    signed_manifest,
    stored_manifest,
    verified_manifest,
)
from answerable.core.registry.parsing.active import snapshot_of
from answerable.core.registry.tools.tool_digest import tools_digest
from answerable.errors import AnswerableError, Malformed
from answerable.testing.clock import START
from answerable.testing.samples import registry_documents, signing_key

TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20).filter(str.isprintable)
OPTIONAL = st.one_of(st.just(""), TEXTS)
DIGESTS = st.one_of(
    st.just(""), st.binary(min_size=32, max_size=32).map(lambda octets: f"sha256:{octets.hex()}")
)
MANIFESTS = st.builds(
    Manifest,
    agent=st.just(AgentId("scout")),
    model_name=TEXTS,
    model_version=OPTIONAL,
    prompt_digest=DIGESTS,
    tools_digest=DIGESTS,
    framework_name=TEXTS,
    framework_version=OPTIONAL,
    code_digest=DIGESTS,
    image_digest=DIGESTS,
    environment=st.just("production"),
    tier=st.integers(0, 3),
)
TOOLS = st.dictionaries(
    st.sampled_from(["crm", "mail", "files"]),
    st.lists(
        st.fixed_dictionaries(
            {
                "name": st.sampled_from(["read", "write", "send", "Read"]),
                "description": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
                "inputSchema": st.dictionaries(st.sampled_from(["type", "x"]), st.integers(0, 3), max_size=2),
            }
        ),
        max_size=3,
        unique_by=lambda tool: str(tool["name"]),
    ),
    max_size=3,
)
REGISTRY = snapshot_of(registry_documents())
ALICE = signing_key("alice")


@pytest.mark.requirement("MANIFEST-02")
@given(MANIFESTS)
def test_document_form_and_bytes_say_the_same_manifest(manifest):
    assert manifest_in(manifest_document(manifest)) == manifest
    assert manifest_of(parse(encode(form_of(manifest)))) == manifest


@pytest.mark.requirement("MANIFEST-02")
@given(MANIFESTS, MANIFESTS)
def test_two_manifests_have_one_digest_only_when_they_are_equal(one, other):
    assert (manifest_digest(one) == manifest_digest(other)) == (one == other)


@pytest.mark.requirement("MANIFEST-02")
def test_every_field_is_in_the_form_so_that_none_escapes_the_signature():
    assert {field.name for field in fields(Manifest)} == {"agent", *MANIFEST_FIELDS}


@pytest.mark.requirement("MANIFEST-02")
@given(
    MANIFESTS, st.sampled_from(["v", "agent", *MANIFEST_FIELDS]), st.none() | st.lists(st.none(), max_size=1)
)
def test_a_member_of_another_type_or_none_at_all_refuses(manifest, member, wrong):
    form = form_of(manifest)
    without = {name: form[name] for name in form if name != member}
    # One that is there only where it says something cannot be taken away where it is not.
    for spoilt in [{**form, member: wrong}, *([without] if member in form else [])]:
        with pytest.raises(Malformed):
            manifest_of(spoilt)


@pytest.mark.requirement("MANIFEST-01")
@given(MANIFESTS)
def test_what_was_signed_is_what_is_verified_and_stored(manifest):
    token = signed_manifest(manifest, owner=PrincipalId("alice"), key=ALICE, at=START)
    signed = verified_manifest(token, current=REGISTRY)
    assert signed.manifest == manifest
    assert signed.digest == manifest_digest(manifest)
    assert stored_manifest(token) == signed


@pytest.mark.requirement("MANIFEST-01")
@given(MANIFESTS, st.integers(0, 10_000), st.integers(1, 63))
def test_a_changed_character_does_not_verify(manifest, place, by):
    token = signed_manifest(manifest, owner=PrincipalId("alice"), key=ALICE, at=UnixMillis(1))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    place %= len(token)
    assume(token[place] != ".")
    other = alphabet[(alphabet.index(token[place]) + by) % 64]
    with pytest.raises(AnswerableError):
        verified_manifest(token[:place] + other + token[place + 1 :], current=REGISTRY)


@pytest.mark.requirement("MANIFEST-04")
@given(MANIFESTS, MANIFESTS, st.sampled_from(GRADES))
def test_drift_is_exactly_where_said_and_found_part(said, found, grade):
    measured = Measured(values={name: (text, grade) for name, text in found.said().items()})
    findings = drift(said, measured)
    assert [one.field for one in findings] == list(said.said())
    expected = {
        name for name, text in said.said().items() if name in found.said() and found.said()[name] != text
    }
    assert set(drifted_fields(findings)) == expected


@pytest.mark.requirement("MANIFEST-03")
@given(MANIFESTS, st.dictionaries(st.sampled_from(MANIFEST_FIELDS), st.sampled_from(GRADES)))
def test_a_match_was_measured_and_no_grade_is_raised(manifest, grades):
    said = manifest.said()
    measured = Measured(values={name: (said.get(name, ""), grade) for name, grade in grades.items()})
    for one in drift(manifest, measured):
        assert one.grade == (grades.get(one.field))
        assert (one.verdict == "match") == (one.field in grades and grades[one.field] != "claimed")


@pytest.mark.requirement("MANIFEST-03")
@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(GRADES)), min_size=1, max_size=4))
def test_of_many_measurements_none_gets_a_better_grade_than_it_had(found):
    parts = [Measured(values={"model_name": one}) for one in found]
    try:
        whole = merged(*parts)
    except Malformed:
        assert len({value for value, _ in found}) > 1
        return
    assert whole.values["model_name"] in found
    assert whole.values["model_name"][1] == min((grade for _, grade in found), key=GRADES.index)


@pytest.mark.requirement("MANIFEST-05")
@given(TOOLS, st.randoms(use_true_random=False))
def test_the_order_of_tools_servers_and_members_does_not_count(listed, chance):
    mixed: dict[str, Any] = {}
    for server in sorted(listed, key=lambda _: chance.random()):
        tools = [dict(sorted(tool.items(), key=lambda _: chance.random())) for tool in listed[server]]
        mixed[server] = sorted(tools, key=lambda _: chance.random())
    noise = {
        server: [{**tool, "annotations": {"readOnlyHint": True}} for tool in mixed[server]]
        for server in mixed
    }
    assert tools_digest(listed) == tools_digest(mixed) == tools_digest(noise)


@pytest.mark.requirement("MANIFEST-05")
@given(TOOLS, TOOLS)
def test_two_listings_have_one_digest_only_when_they_are_equal(one, other):
    def plain(listed: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
        return {s: sorted(map(encode, tools)) for s, tools in listed.items() if tools}

    assert (tools_digest(one) == tools_digest(other)) == (plain(one) == plain(other))


FILES = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6),
    st.tuples(st.booleans(), st.binary(min_size=32, max_size=32)),
    max_size=4,
)


@pytest.mark.requirement("MANIFEST-09")
@given(FILES, FILES)
def test_two_projects_have_one_digest_only_when_path_kind_and_content_agree(one, other):
    first, second = ([(path, *rest) for path, rest in files.items()] for files in (one, other))
    assert (files_digest(first) == files_digest(second)) == (one == other)
    assert files_digest(reversed(first)) == files_digest(first)
    assert all(os.fsdecode(os.fsencode(path)) == path for path in one)


@pytest.mark.requirement("MANIFEST-02")
@given(MANIFESTS)
def test_a_field_changed_changes_the_digest(manifest):
    assert manifest_digest(replace(manifest, tier=(manifest.tier + 1) % 4)) != manifest_digest(manifest)
