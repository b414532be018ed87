"""Models held against what an agent is made of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.identity.names.principal import agent_id
from answerable.core.registry.manifests.manifest import Manifest
from answerable.core.registry.manifests.model_use import check_model
from answerable.errors import Refused

MADE_OF = Manifest(
    agent=agent_id("scout"),
    model_name="small-1",
    model_version="20260101",
    environment="production",
    tier=1,
)


def code_for(manifest: Manifest | None, model: str) -> str:
    try:
        check_model(manifest, model)
    except Refused as refused:
        return refused.code
    return ""


@pytest.mark.parametrize("model", ["small-1-20260101", "small-1@20260101"])
def test_the_version_that_the_manifest_says_may_be_asked(model):
    assert code_for(MADE_OF, model) == ""


@pytest.mark.parametrize(
    "model",
    [
        "small-1",
        "small-1-20260102",
        "small-10-20260101",
        "SMALL-1-20260101",
        "small-1-20260101-x",
        "large-1",
        "",
        "*",
    ],
)
def test_no_other_model_and_no_name_that_moves_may_be_asked(model):
    assert code_for(MADE_OF, model) == "model.other"


@pytest.mark.parametrize("model", ["small-1", "small-1-20260101", "small-1@2026-01-01"])
def test_a_manifest_without_a_version_is_met_by_any_dated_one(model):
    assert code_for(replace(MADE_OF, model_version=""), model) == ""


@pytest.mark.parametrize(
    "model", ["small-1-mini", "small-1-20260101-mini", "small-1-preview", "mini-small-1"]
)
def test_a_name_that_only_begins_alike_is_another_model(model):
    assert code_for(replace(MADE_OF, model_version=""), model) == "model.other"


def test_who_says_no_model_may_ask_none():
    assert code_for(None, "small-1") == "model.unstated"
    assert code_for(replace(MADE_OF, model_name="", model_version=""), "small-1") == "model.unstated"
