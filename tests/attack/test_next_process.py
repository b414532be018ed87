"""Attacks that wait for the next process: what an earlier one knew of ends and names must not be lost with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.sqlite import SqliteInstanceRegister, SqliteStore
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag
from answerable.errors import Unavailable
from answerable.flows.recording.record_entry import pseudonym_of
from answerable.flows.registry.set_agent_status import set_agent_status
from answerable.flows.revocation.end_instance import end_instance, record_ends
from answerable.flows.trust_domain.workloads import WorkloadLimits
from answerable.flows.workloads.enrol_workload import enrol
from tests.worlds.enrolment import enrolling, evidence_of, key_of, workloads_over

pytestmark = pytest.mark.anyio
SCOUT = AgentId("scout")


@pytest.mark.requirement("ENDS-05")
async def test_no_operator_ends_an_instance_without_a_name_also_where_the_record_comes_from_the_next_process(
    tmp_path: Path, monkeypatch
):
    bench, workloads = await enrolling()
    file = tmp_path / "registers.db"
    store = SqliteStore.open(file)
    workloads.instances = SqliteInstanceRegister(store)
    one = await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1")
    await enrol(workloads, evidence=one.evidence, key=key_of("s-1"), parent=one.id)
    own = await enrol(workloads, evidence=evidence_of(), key=key_of("i-2"))
    submit = bench.recorder.ledger.submit

    def full(entry: Any) -> Any:
        raise Unavailable("the disk is full", code="ledger.full", port="ledger")

    monkeypatch.setattr(bench.recorder.ledger, "submit", full)
    with pytest.raises(Unavailable):
        await end_instance(workloads, one.id, because="operator.ended", by="uid:4711")
    with pytest.raises(Unavailable):
        await end_instance(workloads, own.id, because="asked")
    store.close()
    monkeypatch.setattr(bench.recorder.ledger, "submit", submit)
    again = workloads_over(bench.walk)
    again.instances = SqliteInstanceRegister(SqliteStore.open(file))
    assert await record_ends(again) == 3
    stored = [found for found in bench.recorder.ledger.replay() if found.tag == Tag.WORKLOAD_ENDED]
    leaves = [leaf_of(found) for found in stored]
    pseudonym = pseudonym_of(bench.recorder, "uid:4711")
    assert [leaf.get("by") for leaf in leaves] == [pseudonym, pseudonym, None]
    # The name is a sealed field: nobody reads it, or guesses it, without the key.
    assert not any(b"4711" in found.leaf + found.attachment for found in stored)
    find = bench.recorder.subject_keys.find
    told = [payload_of(found, leaf, find) for found, leaf in zip(stored, leaves, strict=True)]
    assert told == [{"by": "uid:4711"}, {"by": "uid:4711"}, None]


@pytest.mark.requirement("ENDS-05")
async def test_ends_that_follow_from_a_standing_name_who_set_it():
    bench, workloads = await enrolling()
    await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"))
    await set_agent_status(workloads, SCOUT, "suspended", by="uid:4711")
    (ended,) = bench.entries(Tag.WORKLOAD_ENDED)
    assert (ended["because"], ended["by"]) == ("agent.suspended", pseudonym_of(bench.recorder, "uid:4711"))


@pytest.mark.requirement("ENROL-18")
async def test_a_forgotten_sub_agent_costs_none_after_it_an_enrolment(tmp_path: Path):
    bench, workloads = await enrolling(limits=WorkloadLimits(instance_seconds=100_000))
    file = tmp_path / "registers.db"
    workloads.instances = SqliteInstanceRegister(SqliteStore.open(file))
    parent = await enrol(workloads, evidence=evidence_of(), key=key_of("parent"))

    async def below(place: Any, number: int) -> str:
        key = key_of(f"sub-{number}")
        return str((await enrol(place, evidence=parent.evidence, key=key, parent=parent.id)).id)

    async def forgotten(place: Any, names: list[str]) -> None:
        for name in names:
            await end_instance(place, spiffe_id(name), because="asked")
        later = UnixMillis(parent.expires_at + 1)
        assert place.instances.forget_ended(before=later) == len(names)

    first = [await below(workloads, number) for number in (1, 2, 3)]
    await forgotten(workloads, first)
    # A process that knows nothing but the file, and then the first one again, to which that one is another process.
    other = workloads_over(bench.walk, limits=workloads.limits)
    other.instances = SqliteInstanceRegister(SqliteStore.open(file))
    second = [await below(other, number) for number in (4, 5)]
    await forgotten(other, second)
    third = [await below(workloads, 6), await below(other, 7)]
    found = [name.rpartition("/")[2] for name in (*first, *second, *third)]
    assert found == [f"sub-{number}" for number in range(1, 8)]
    # Each is in the ledger once: nothing was written down that was refused then.
    told = [one["instance"] for one in bench.entries(Tag.WORKLOAD_ENROLLED) if one["parent"]]
    assert told == [*first, *second, *third]
