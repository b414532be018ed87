"""Manifests as documents, as the canonical form, and compared with what was measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from answerable.core.registry.manifests.manifest import (
    Manifest,
    form_of,
    manifest_digest,
    manifest_document,
    manifest_in,
    manifest_of,
)
from answerable.core.registry.manifests.manifest_drift import Measured, drift, drifted_fields, merged
from answerable.core.registry.tools.tool_digest import TOOLS_MAX, tools_digest
from answerable.errors import Malformed
from answerable.testing.contracts.manifest_register import sample_manifest

HEX = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"


def test_a_document_and_its_canonical_form_say_the_same_manifest():
    manifest = sample_manifest()
    assert manifest_in(manifest_document(manifest)) == manifest
    assert manifest_of(form_of(manifest)) == manifest
    assert manifest_digest(manifest) == manifest_digest(manifest_in(manifest_document(manifest)))


def test_what_is_not_said_is_left_out_of_the_document_and_empty_in_the_form():
    manifest = Manifest(agent=sample_manifest().agent, environment="production", tier=0)
    assert manifest_document(manifest)["spec"] == {"environment": "production", "tier": 0}
    assert form_of(manifest)["model_name"] == ""
    assert manifest.said() == {"environment": "production", "tier": "0"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"agent": "Scout"}, "name.invalid"),
        ({"environment": ""}, "name.invalid"),
        ({"prompt_digest": "1" * 64}, "manifest.digest"),
        ({"code_digest": f"sha256:{'A' * 64}"}, "manifest.digest"),
        ({"model_name": "x" * 129}, "manifest.text"),
        ({"model_name": "a\u202eb"}, "manifest.text"),
        ({"model_name": " gpt"}, "manifest.text"),
        ({"model_name": ""}, "manifest.malformed"),
        ({"tier": 4}, "manifest.malformed"),
        ({"tier": True}, "manifest.malformed"),
    ],
)
def test_a_field_that_is_not_what_it_should_be_is_refused(changes, code):
    with pytest.raises(Malformed) as raised:
        replace(sample_manifest(), **changes)
    assert raised.value.code == code


def test_every_fault_of_a_document_is_told_with_its_place():
    document: Any = manifest_document(sample_manifest())
    document["kind"] = "Agent"
    document["spec"] |= {"promptDigest": "md5:1", "models": {}, "tier": "2"}
    with pytest.raises(Malformed) as raised:
        manifest_in(document)
    assert raised.value.code == "manifest.malformed"
    for place in ("/kind", "/spec/promptDigest", "/spec/models", "/spec/tier"):
        assert place in raised.value.message


@pytest.mark.parametrize("document", [None, [], "text", {}, {"kind": "AgentManifest"}])
def test_what_is_no_document_is_refused(document):
    with pytest.raises(Malformed):
        manifest_in(document)


def test_the_framework_has_no_version_without_a_name_in_a_document_either():
    document: Any = manifest_document(sample_manifest())
    del document["spec"]["framework"]["name"]
    with pytest.raises(Malformed):
        manifest_in(document)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"v": 2}, "manifest.version"),
        ({"v": True}, "manifest.version"),
        ({"extra": ""}, "manifest.malformed"),
        ({"model_name": None}, "manifest.malformed"),
        ({"tier": "2"}, "manifest.malformed"),
    ],
)
def test_a_form_of_another_version_or_shape_is_refused(changes, code):
    with pytest.raises(Malformed) as raised:
        manifest_of({**form_of(sample_manifest()), **changes})
    assert raised.value.code == code


def test_a_form_that_lacks_a_member_or_is_no_object_is_refused():
    form = form_of(sample_manifest())
    del form["tier"]
    wrong: Any
    for wrong in (form, [], None):
        with pytest.raises(Malformed):
            manifest_of(wrong)


def test_measured_values_that_agree_match_and_keep_their_grade():
    manifest = sample_manifest()
    measured = Measured(values={"prompt_digest": (manifest.prompt_digest, "sidecar")})
    findings = {one.field: one for one in drift(manifest, measured)}
    assert findings["prompt_digest"].verdict == "match"
    assert findings["prompt_digest"].grade == "sidecar"
    assert findings["code_digest"].verdict == "unmeasured"
    assert findings["code_digest"].grade is None
    assert "image_digest" not in findings
    assert drifted_fields(findings.values()) == ()


def test_drift_says_field_expected_found_and_grade():
    manifest = sample_manifest()
    (finding,) = [
        one
        for one in drift(manifest, Measured(values={"tools_digest": (OTHER, "gateway")}))
        if one.verdict == "differs"
    ]
    assert (finding.field, finding.expected, finding.found, finding.grade) == (
        "tools_digest",
        manifest.tools_digest,
        OTHER,
        "gateway",
    )


def test_an_empty_measurement_is_none():
    measured = Measured(values={"prompt_digest": ("", "kernel")})
    assert measured.values == {}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"prompt": (HEX, "kernel")}, "manifest.field"),
        ({"prompt_digest": (HEX, "owner")}, "manifest.field"),
        ({"prompt_digest": ("sha1:a", "kernel")}, "manifest.digest"),
        ({"model_name": ("x" * 513, "claimed")}, "manifest.value"),
    ],
)
def test_a_measurement_of_nothing_we_know_is_refused(values, code):
    with pytest.raises(Malformed) as raised:
        Measured(values=values)
    assert raised.value.code == code


def test_of_several_measurements_the_better_grade_counts():
    parts = (
        Measured(values={"code_digest": (HEX, "claimed"), "model_name": ("gpt-5", "claimed")}),
        Measured(values={"code_digest": (OTHER, "kernel")}),
        Measured(values={"code_digest": (HEX, "sidecar"), "model_name": ("gpt-5", "claimed")}),
    )
    assert merged(*parts).values == {"code_digest": (OTHER, "kernel"), "model_name": ("gpt-5", "claimed")}


def test_two_of_one_grade_that_disagree_are_a_conflict():
    with pytest.raises(Malformed) as raised:
        merged(
            Measured(values={"code_digest": (HEX, "kernel")}),
            Measured(values={"code_digest": (OTHER, "kernel")}),
        )
    assert raised.value.code == "manifest.conflict"


def test_no_tools_have_no_digest():
    assert tools_digest({}) == tools_digest({"crm": []}) == ""


@pytest.mark.parametrize(
    ("listed", "code"),
    [
        ({"crm": [{"name": "a", "inputSchema": {}}, {"name": "a", "inputSchema": {}}]}, "tool.duplicate"),
        ({"crm": [{"name": "", "inputSchema": {}}]}, "tool.malformed"),
        ({"crm": [{"name": "a"}]}, "tool.malformed"),
        ({"crm": [{"name": "a", "description": 1, "inputSchema": {}}]}, "tool.malformed"),
        ({"crm": ["a"]}, "tool.malformed"),
        ({"CRM": []}, "name.invalid"),
        ({"crm": [{"name": f"t{n}", "inputSchema": {}} for n in range(TOOLS_MAX + 1)]}, "tool.count"),
    ],
)
def test_a_listing_that_is_not_one_is_refused(listed, code):
    with pytest.raises(Malformed) as raised:
        tools_digest(listed)
    assert raised.value.code == code


def test_a_document_of_another_version_is_refused():
    with pytest.raises(Malformed) as raised:
        manifest_in({**manifest_document(sample_manifest()), "apiVersion": "answerable/v2"})
    assert "/apiVersion" in raised.value.message
