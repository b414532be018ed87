"""Callers of whom nobody measured anything pass for what their manifest says: policy and intent tell them apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from answerable.core.identity.proof.channel import Channel, PeerCredentials
from answerable.core.identity.workload.evidence import CallerIdentity
from answerable.core.incident.wording import instance_told
from answerable.core.ledger.tags import Tag
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.state.known_callers import KnownCallers
from answerable.testing.samples import signing_key
from tests.attack.test_drift_laundering import (
    CLAIMED,
    HALF,
    MADE,
    SCOUT,
    WHOLE,
    acted,
    code_of,
    enrolled,
    manifest,
    seen,
    world,
)
from tests.worlds.enrolment import attested_documents
from tests.worlds.parts import to_apply

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.testing.builders import Bench

pytestmark = pytest.mark.anyio

MEASURED_ONLY: JSONValue = {
    "apiVersion": "answerable/v1",
    "kind": "PolicySet",
    "metadata": {"name": "measured"},
    "spec": {
        "policies": '@id("measured-only") forbid (principal, action, resource)'
        ' unless { context.agent.manifest_measured.containsAll(["prompt_digest", "code_digest"]) };'
    },
}


def known_to(bench: Bench, digest: str) -> KnownCallers:
    return KnownCallers(
        registry=bench.authority.registry, manifest_of=lambda agent: digest if agent == SCOUT else ""
    )


@pytest.mark.requirement("MANIFEST-14")
async def test_a_registered_key_and_a_user_id_show_the_manifest_as_claimed() -> None:
    bench, _ = await world()
    digest = await manifest(bench)
    documents = attested_documents()
    for one in documents:
        if (one["kind"], one["metadata"]["name"]) == ("Agent", "scout"):
            one["spec"] = {**one["spec"], "unixUids": [4711]}
    await bench.registered(documents)
    known, now = known_to(bench, digest), bench.clock.now()
    by_key = known.by_key(signing_key("scout").public.thumbprint, now).identity
    peer = PeerCredentials(uid=4711, gid=4711, pid=1, started=1)
    _, _, by_uid = known.by_channel(Channel(connection=1, sequence=1, peer=peer), now)
    # The kernel's word is about the process, and not about what it is made of.
    assert (by_uid.grade, by_uid.manifest, by_uid.manifest_grade) == ("kernel", digest, "claimed")
    assert (by_key.manifest, by_key.manifest_grade) == (digest, "claimed")
    nobody = known.by_key(signing_key("rover").public.thumbprint, now).identity
    assert (nobody.manifest, nobody.manifest_grade) == ("", "")


@pytest.mark.requirement("MANIFEST-14")
async def test_policy_and_intent_tell_what_was_measured_from_what_was_claimed() -> None:
    bench, workloads = await world()
    await bench.issue()
    digest = await manifest(bench)
    claimed = known_to(bench, digest).registered(SCOUT)
    await enrolled(workloads, WHOLE)
    measured = seen(workloads, "i-1")
    for identity in (claimed, measured):
        await acted(bench, identity)
    first, second = bench.entries(Tag.INTENT)
    assert (first["manifest"], first["manifest_grade"]) == (digest, "claimed")
    # The model is the owner's word alone, so the whole is no better; what was measured is told beside it.
    assert (second["manifest"], second["manifest_grade"]) == (digest, "claimed")
    assert first["manifest_fields"] == {"tools_digest": "gateway"}
    assert second["manifest_fields"] == {
        "code_digest": "sidecar",
        "prompt_digest": "sidecar",
        "tools_digest": "gateway",
    }
    assert "tools_digest by the gateway, all else claimed" in instance_told(first)[0]
    assert "prompt_digest by its sidecar" in instance_told(second)[0]
    await apply_registry(*to_apply(bench.walk), [MEASURED_ONLY], by="operator")
    for identity in (claimed, CallerIdentity(), structs.replace(claimed, source="unix", grade="kernel")):
        assert await code_of(acted(bench, identity)) == "measured-only"
    await acted(bench, measured)
    assert len(bench.upstream.effects) == 3
    assert bench.entries(Tag.REFUSAL)[0]["manifest_grade"] == "claimed"


@pytest.mark.requirement("MANIFEST-14")
async def test_the_grade_is_that_of_the_worst_known_part_and_no_claim_raises_it() -> None:
    bench, workloads = await world("mark")
    await manifest(bench)
    await enrolled(workloads, CLAIMED)
    assert (seen(workloads, "i-1").manifest, seen(workloads, "i-1").manifest_grade) == ("", "")
    kept = await enrolled(workloads, WHOLE, "i-2")
    assert kept.manifest_grade == seen(workloads, "i-2").manifest_grade == "claimed"
    # Where everything that is said was measured, the whole is as good as the worst of it.
    made = replace(MADE, model_name="", model_version="", framework_name="", framework_version="")
    await manifest(bench, made, at=1)
    third = await enrolled(workloads, WHOLE, "i-3")
    assert third.manifest_grade == seen(workloads, "i-3").manifest_grade == "gateway"
    await manifest(bench, replace(made, tools_digest=""), at=2)
    fourth = await enrolled(workloads, WHOLE, "i-4")
    assert fourth.manifest_grade == seen(workloads, "i-4").manifest_grade == "sidecar"
    half = await enrolled(workloads, HALF, "i-5")
    assert (half.manifest_grade, half.manifest_fields) == ("claimed", (("code_digest", "sidecar"),))
