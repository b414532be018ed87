"""A new manifest comes into force while agents run: who fits goes on, who does not gets no minute of grace."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from answerable.adapters.sqlite import SqliteInstanceRegister, SqliteStore
from answerable.core.ledger.tags import Tag
from answerable.core.registry.manifests.manifest_drift import Measured
from answerable.errors import Refused
from answerable.flows.trust_domain.workloads import WorkloadLimits
from answerable.flows.workloads.enrol_workload import renew
from answerable.flows.workloads.follow_manifests import compare_running, follow_manifests
from tests.attack.test_drift_laundering import (
    CLAIMED,
    CRUEL,
    MADE,
    NOTHING,
    OTHER,
    WHOLE,
    acted,
    code_of,
    enrolled,
    found,
    manifest,
    seen,
    world,
)
from tests.worlds.enrolment import attested_documents, enrolling
from tests.worlds.gateway import until

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.identity.names.principal import AgentId

pytestmark = pytest.mark.anyio

RETOLD = replace(MADE, prompt_digest=OTHER)
"""The manifest of what CRUEL measures."""
RETIERED = replace(MADE, tier=3)
"""Another manifest of what WHOLE measures."""


@pytest.mark.requirement("MANIFEST-13")
async def test_who_fits_the_new_manifest_goes_on_unasked_and_who_does_not_is_refused() -> None:
    bench, workloads = await world()
    await bench.issue()
    await manifest(bench)
    one = await enrolled(workloads, WHOLE)
    await enrolled(workloads, None, "s-1", one.id)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: follow_manifests(workloads, poll_seconds=0.01))
        new = await manifest(bench, RETIERED, at=1)
        # Until it was compared it acts as drifted, so that nothing gets ahead.
        assert await code_of(acted(bench, seen(workloads, "i-1"))) == "agent.drifted"
        await until(lambda: not seen(workloads, "s-1").drifted)
        for name in ("i-1", "s-1"):
            known = dict(seen(workloads, name).manifest_fields)
            assert (seen(workloads, name).manifest, known["prompt_digest"]) == (new, "sidecar")
            await acted(bench, seen(workloads, name))
            assert bench.entries(Tag.INTENT)[-1]["manifest"] == new
        assert found(workloads, one).expires_at == one.expires_at
        cruel = await manifest(bench, RETOLD, at=2)
        await until(lambda: found(workloads, one).drift == ("prompt_digest",))
        for name in ("i-1", "s-1"):
            assert seen(workloads, name).drifted
            assert await code_of(acted(bench, seen(workloads, name))) == "agent.drifted"
        tasks.cancel_scope.cancel()
    assert cruel != new
    assert len(bench.upstream.effects) == 2
    # The ledger tells which manifest each was held against, and what differed.
    told = [(one["manifest"], one["drift"]) for one in bench.entries(Tag.WORKLOAD_ENROLLED)]
    assert (cruel, ["prompt_digest"]) in told


@pytest.mark.requirement("MANIFEST-13")
async def test_a_changed_agent_goes_on_once_its_owner_signs_what_it_was_changed_to() -> None:
    bench, workloads = await world()
    await bench.issue()
    await manifest(bench)
    one = await enrolled(workloads, WHOLE)
    assert await code_of(renew(workloads, one.id, measured=CRUEL)) == "manifest.drifted"
    assert await code_of(acted(bench, seen(workloads, "i-1"))) == "agent.drifted"
    new = await manifest(bench, RETOLD, at=1)
    await compare_running(workloads, {})
    assert (seen(workloads, "i-1").manifest, seen(workloads, "i-1").drifted) == (new, False)
    await acted(bench, seen(workloads, "i-1"))
    # What was true of it before is true no more: the old manifest, signed anew, does not fit it.
    await manifest(bench, MADE, at=2)
    await compare_running(workloads, {})
    assert found(workloads, one).drift == ("prompt_digest",)


@pytest.mark.requirement("MANIFEST-13")
@pytest.mark.parametrize("measured", [NOTHING, CLAIMED], ids=["nothing", "claimed"])
async def test_what_was_never_measured_is_not_whole_under_any_later_manifest(measured: Measured) -> None:
    bench, workloads = await world("mark")
    one = await enrolled(workloads, measured)
    await manifest(bench)
    await compare_running(workloads, {})
    assert found(workloads, one).drift == ("prompt_digest", "code_digest")
    identity = seen(workloads, "i-1")
    assert (identity.manifest, identity.manifest_grade, identity.drifted) == ("", "", True)


@pytest.mark.requirement("MANIFEST-13")
async def test_a_claim_of_something_else_takes_the_earlier_measurement_away() -> None:
    """Who says that its prompt is another now is not let in under a third manifest by what was measured before."""
    bench, workloads = await world("mark")
    await manifest(bench)
    one = await enrolled(workloads, WHOLE)
    await renew(workloads, one.id, measured=Measured(values={"prompt_digest": (OTHER, "claimed")}))
    assert found(workloads, one).drift == ("prompt_digest",)
    for at, made in enumerate((RETIERED, RETOLD), start=1):
        await manifest(bench, made, at=at)
        await compare_running(workloads, {})
        assert "prompt_digest" in found(workloads, one).drift
    # A claim that agrees with a measurement takes nothing away.
    await renew(workloads, one.id, measured=WHOLE)
    await renew(workloads, one.id, measured=CLAIMED)
    await manifest(bench, MADE, at=3)
    await compare_running(workloads, {})
    kept = found(workloads, one)
    assert (kept.drift, dict(kept.manifest_fields)["prompt_digest"]) == ((), "sidecar")


@pytest.mark.requirement("MANIFEST-13")
async def test_a_flood_of_instances_is_compared_round_by_round_and_drifted_until_then() -> None:
    documents = attested_documents(drift="mark")
    bench, workloads = await enrolling(documents, limits=WorkloadLimits(documents_per_minute_max=2))
    for number in range(4):
        await enrolled(workloads, WHOLE, f"i-{number}")
    await manifest(bench)
    compared: dict[AgentId, str] = {}
    with pytest.raises(Refused) as told:
        await compare_running(workloads, compared)
    assert told.value.code == "workloads.pace"
    assert sum(seen(workloads, f"i-{number}").drifted for number in range(4)) == 2
    bench.clock.advance(60)
    await compare_running(workloads, compared)
    assert not any(seen(workloads, f"i-{number}").drifted for number in range(4))


@pytest.mark.requirement("MANIFEST-13")
async def test_what_was_measured_survives_a_restart(tmp_path: Path) -> None:
    bench, workloads = await world()
    await manifest(bench)
    one = await enrolled(workloads, WHOLE)
    assert isinstance(workloads.instances, SqliteInstanceRegister)
    for _ in range(2):
        with closing(SqliteStore.open(tmp_path / "state.db")) as store:
            register = SqliteInstanceRegister(store)
            if register.find(one.id) is None:
                register.add(one)
            assert register.find(one.id) == one
    assert one.measured == (
        ("prompt_digest", MADE.prompt_digest, "sidecar"),
        ("code_digest", MADE.code_digest, "sidecar"),
    )
