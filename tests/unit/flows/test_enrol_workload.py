"""Enrolling, renewing and ending instances."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from answerable.core.containment.hold import Hold, HoldTarget, hold_id
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.end_instance import (
    end_agent,
    end_instance,
    end_lapsed,
    end_unfounded,
    follow_standing,
    record_ends,
)
from answerable.flows.trust_domain.workloads import WorkloadLimits, Workloads
from answerable.flows.workloads.enrol_workload import enrol, live_instance, renew
from answerable.testing.samples import OWNERSHIP
from tests.worlds.enrolment import (
    PATH,
    UID,
    InventedProcesses,
    attested_documents,
    enrolling,
    evidence_of,
    key_of,
    with_status,
)
from tests.worlds.gateway import until
from tests.worlds.parts import to_apply

pytestmark = pytest.mark.anyio


def invented(workloads: Workloads) -> InventedProcesses:
    assert isinstance(workloads.observer, InventedProcesses)
    return workloads.observer


async def refused(code, awaited):
    with pytest.raises(Refused) as error:
        await awaited
    assert error.value.code == code


async def test_a_measured_process_gets_a_name_of_its_own_and_the_ledger_knows_it_first():
    bench, workloads = await enrolling()
    first = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    second = await enrol(workloads, evidence=evidence_of(), key=key_of("i-2"), process="boot:2:1")
    assert first.agent == second.agent == "scout"
    assert first.id != second.id
    assert str(first.id).startswith("spiffe://example.test/agent/scout/")
    assert workloads.instances.find(first.id) == first
    entries = bench.entries(Tag.WORKLOAD_ENROLLED)
    assert [entry["instance"] for entry in entries] == [str(first.id), str(second.id)]
    assert entries[0]["key"] == key_of("i-1").thumbprint
    assert entries[0]["grade"] == "kernel"


async def test_nothing_is_in_force_when_the_ledger_cannot_take_it(monkeypatch):
    bench, workloads = await enrolling()

    def full(entry):
        raise Unavailable("the disk is full", code="ledger.full", port="ledger")

    monkeypatch.setattr(bench.recorder.ledger, "submit", full)
    with pytest.raises(Unavailable):
        await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    assert list(workloads.instances.live()) == []


async def test_who_matches_no_agent_or_two_or_one_out_of_force_is_refused():
    documents = attested_documents({"scout": [[UID]], "rover": [["unix:gid:1000"]]})
    bench, workloads = await enrolling(documents)
    await refused(
        "attestation.unknown", enrol(workloads, evidence=evidence_of("unix:uid:7"), key=key_of("i-1"))
    )
    await refused("attestation.ambiguous", enrol(workloads, evidence=evidence_of(), key=key_of("i-1")))
    await apply_registry(*to_apply(bench.walk), with_status(documents, "rover", "suspended"), by="operator")
    await refused(
        "agent.inactive",
        enrol(workloads, evidence=evidence_of("unix:gid:1000"), key=key_of("i-1")),
    )
    found = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"))
    assert found.agent == "scout"


async def test_the_same_live_process_keeps_its_instance_also_when_it_asks_twice_at_once():
    bench, workloads = await enrolling()
    found = []

    async def ask():
        found.append(await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1"))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(ask)
    assert len({one.id for one in found}) == 1
    assert len(bench.entries(Tag.WORKLOAD_ENROLLED)) == 1
    await end_instance(workloads, found[0].id, because="asked")
    again = await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1")
    assert again.id != found[0].id


async def test_without_a_key_only_a_local_process_is_enrolled():
    _, workloads = await enrolling()
    await refused("instance.no_key", enrol(workloads, evidence=evidence_of(), key=None))


async def test_a_key_is_of_one_instance_for_good():
    bench, workloads = await enrolling()
    first = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    await refused(
        "instance.key_taken",
        enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:2:1"),
    )
    await refused(
        "instance.key_differs",
        enrol(workloads, evidence=evidence_of(), key=key_of("i-2"), process="boot:1:1"),
    )
    await end_instance(workloads, first.id, because="asked")
    await refused(
        "instance.key_taken",
        enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:2:1"),
    )
    for registered in ("scout", "alice"):
        await refused(
            "instance.key_registered",
            enrol(workloads, evidence=evidence_of(), key=key_of(registered), process="boot:3:1"),
        )
    assert len(bench.entries(Tag.WORKLOAD_ENROLLED)) == 1


async def test_sub_agents_have_names_and_keys_of_their_own_and_end_with_their_parent():
    bench, workloads = await enrolling(limits=WorkloadLimits(sub_agents_max=2))
    parent = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    subs = [
        await enrol(workloads, evidence=parent.evidence, key=key_of(f"s-{n}"), parent=parent.id)
        for n in range(2)
    ]
    assert [str(one.id) for one in subs] == [f"{parent.id}/sub-1", f"{parent.id}/sub-2"]
    assert {one.evidence.source for one in subs} == {"parent"}
    assert all(one.expires_at <= parent.expires_at for one in subs)
    await refused(
        "instance.sub_agents",
        enrol(workloads, evidence=parent.evidence, key=key_of("s-9"), parent=parent.id),
    )
    await refused(
        "instance.depth",
        enrol(workloads, evidence=parent.evidence, key=key_of("s-9"), parent=subs[0].id),
    )
    await end_instance(workloads, subs[1].id, because="asked")
    third = await enrol(workloads, evidence=parent.evidence, key=key_of("s-3"), parent=parent.id)
    assert str(third.id) == f"{parent.id}/sub-3"
    ended = await end_instance(workloads, parent.id, because="asked")
    assert {one.id for one in ended} == {parent.id, subs[0].id, third.id}
    await refused(
        "instance.ended",
        enrol(workloads, evidence=parent.evidence, key=key_of("s-4"), parent=parent.id),
    )
    because = {entry["instance"]: entry["because"] for entry in bench.entries(Tag.WORKLOAD_ENDED)}
    assert because[str(parent.id)] == "asked"
    assert because[str(third.id)] == "parent.ended"


async def test_a_sub_agent_needs_a_parent_that_there_is():
    _, workloads = await enrolling()
    nobody = spiffe_id("spiffe://example.test/agent/scout/" + "0" * 32)
    await refused(
        "instance.unknown", enrol(workloads, evidence=evidence_of(), key=key_of("s"), parent=nobody)
    )


async def test_a_sub_agent_is_over_as_soon_as_its_parent_is_whatever_its_own_row_says():
    bench, workloads = await enrolling()
    parent = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    sub = await enrol(workloads, evidence=parent.evidence, key=key_of("s-1"), parent=parent.id)
    assert live_instance(workloads, sub.id) == sub
    assert workloads.instances.put(replace(parent, expires_at=bench.clock.now()))
    with pytest.raises(Refused, match="the parent instance of") as over:
        live_instance(workloads, sub.id)
    assert over.value.code == "instance.ended"


async def test_a_renewal_lengthens_a_life_from_its_half_on_and_never_one_that_is_over():
    bench, workloads = await enrolling(limits=WorkloadLimits(instance_seconds=100))
    first = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    sub = await enrol(workloads, evidence=first.evidence, key=key_of("s-1"), parent=first.id)
    bench.clock.advance(10)
    assert await renew(workloads, first.id) == first
    assert len(bench.entries(Tag.WORKLOAD_ENROLLED)) == 2
    bench.clock.advance(50)
    renewed = await renew(workloads, first.id)
    assert renewed.expires_at == first.expires_at + 60_000
    assert (await renew(workloads, sub.id)).expires_at == renewed.expires_at
    bench.clock.advance(101)
    await refused("instance.ended", renew(workloads, first.id))
    assert {one.ended_because for one in await end_lapsed(workloads)} == {"instance.expired"}
    await refused("instance.ended", renew(workloads, first.id))


async def test_a_renewal_holds_what_is_measured_against_the_registry_of_today():
    bench, workloads = await enrolling()
    first = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    await refused("attestation.changed", renew(workloads, first.id, evidence=evidence_of("unix:uid:2000")))
    await apply_registry(
        *to_apply(bench.walk), attested_documents({"scout": [["unix:uid:3", PATH]]}), by="operator"
    )
    await refused("attestation.unknown", renew(workloads, first.id))


async def test_instances_end_with_the_standing_of_their_agent_their_time_and_their_process():
    bench, workloads = await enrolling(limits=WorkloadLimits(instance_seconds=100))
    observer = invented(workloads)
    observer.start(1)
    observer.start(2)
    one = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    two = await enrol(workloads, evidence=evidence_of(), key=key_of("i-2"), process="boot:2:1")
    del observer.facts[2]
    assert [ended.id for ended in await end_lapsed(workloads)] == [two.id]
    assert live_instance(workloads, one.id) == one
    documents = with_status(attested_documents(), "scout", "suspended")
    await apply_registry(*to_apply(bench.walk), documents, by="operator")
    with pytest.raises(Refused, match="not active"):
        live_instance(workloads, one.id)
    assert [ended.id for ended in await end_unfounded(workloads)] == [one.id]
    assert [entry["because"] for entry in bench.entries(Tag.WORKLOAD_ENDED)] == [
        "process.gone",
        "agent.inactive",
    ]


async def test_a_disabled_owner_ends_the_instances_of_what_nobody_answers_for():
    owned = attested_documents({"scout": [[UID]]}, ownership={**OWNERSHIP, "owner": "carol"})
    bench, workloads = await enrolling(owned)
    one = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    carol = next(d for d in owned if d["metadata"]["name"] == "carol")
    carol = {**carol, "spec": {**carol["spec"], "status": "disabled"}}
    await apply_registry(*to_apply(bench.walk), [carol], by="operator")
    assert [ended.id for ended in await end_unfounded(workloads)] == [one.id]


async def test_an_end_counts_at_once_and_is_recorded_when_the_ledger_can_take_it(monkeypatch):
    bench, workloads = await enrolling()
    one = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    submit = bench.recorder.ledger.submit

    def full(entry):
        raise Unavailable("the disk is full", code="ledger.full", port="ledger")

    monkeypatch.setattr(bench.recorder.ledger, "submit", full)
    with pytest.raises(Unavailable):
        await end_agent(workloads, one.agent, because="agent.retired")
    await refused("instance.ended", renew(workloads, one.id))
    monkeypatch.setattr(bench.recorder.ledger, "submit", submit)
    assert await record_ends(workloads) == 1
    assert bench.entries(Tag.WORKLOAD_ENDED)[0]["because"] == "agent.retired"


async def test_following_ends_what_no_longer_stands_by_itself():
    bench, workloads = await enrolling()
    invented(workloads).start(1)
    one = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: follow_standing(workloads, poll_seconds=0.005))
        await anyio.sleep(0.05)
        assert live_instance(workloads, one.id) == one
        documents = with_status(attested_documents(), "scout", "retired")
        await apply_registry(*to_apply(bench.walk), documents, by="operator")
        await until(lambda: bench.entries(Tag.WORKLOAD_ENDED))
        tasks.cancel_scope.cancel()
    assert list(workloads.instances.live()) == []


async def test_a_process_whose_time_ran_out_enrols_anew_at_once():
    bench, workloads = await enrolling(limits=WorkloadLimits(instance_seconds=100))
    first = await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1")
    bench.clock.advance(101)
    second = await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1")
    assert second.id != first.id
    assert [one["because"] for one in bench.entries(Tag.WORKLOAD_ENDED)] == ["instance.expired"]


@pytest.mark.requirement("HOLD-12")
async def test_an_enrolment_on_its_way_while_its_key_is_held_ends_and_does_not_outlive_the_lift(monkeypatch):
    bench, workloads = await enrolling()
    add = workloads.instances.add

    def held_first(instance):
        # Whoever ends what is within reach has looked, and has not seen it.
        bench.authority.holds.place(
            Hold(
                id=hold_id(bytes(16)),
                what=HoldTarget("key", key_of("i-1").thumbprint),
                at=bench.clock.now(),
                by="alice",
            )
        )
        add(instance)

    monkeypatch.setattr(workloads.instances, "add", held_first)
    await refused("held.key", enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1"))
    assert list(workloads.instances.live()) == []
