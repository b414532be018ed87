"""An agent asks the model that it is made of, and no other, where a capability says that a model is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.identity.evidence import CallerIdentity
from answerable.core.ledger.tags import Tag
from answerable.testing.builders import Bench
from tests.attack.test_drift_laundering import MADE, acted, code_of, manifest
from tests.enrolment_world import attested_documents, enrolling

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("MODELLEASE-07")]
ANYBODY = CallerIdentity()


async def asking_models() -> Bench:
    """`crm.read` stands for asking a model here: the case that it names is the model."""
    documents = attested_documents(drift="mark")
    for one in documents:
        if (one["kind"], one["metadata"]["name"]) == ("Capability", "crm.read"):
            one["spec"] = {**one["spec"], "modelArgument": "case"}
    bench, _ = await enrolling(documents)
    await bench.issue()
    return bench


async def test_the_model_of_the_manifest_is_asked_and_another_is_refused_on_record() -> None:
    bench = await asking_models()
    await manifest(bench, replace(MADE, model_name="4711", model_version=""))
    await acted(bench, ANYBODY)
    assert len(bench.entries(Tag.INTENT)) == 1
    await manifest(bench, replace(MADE, model_name="large-1", model_version=""), at=1_000)
    assert await code_of(acted(bench, ANYBODY)) == "model.other"
    assert len(bench.entries(Tag.INTENT)) == 1
    assert bench.entries(Tag.REFUSAL)


async def test_who_says_no_model_asks_none() -> None:
    bench = await asking_models()
    assert await code_of(acted(bench, ANYBODY)) == "model.unstated"
    await manifest(bench, replace(MADE, model_name="", model_version=""))
    assert await code_of(acted(bench, ANYBODY)) == "model.unstated"
    assert not bench.entries(Tag.INTENT)


async def test_a_version_that_moves_is_not_the_one_that_was_signed() -> None:
    bench = await asking_models()
    await manifest(bench, replace(MADE, model_name="4711", model_version="20260101"))
    assert await code_of(acted(bench, ANYBODY)) == "model.other"
