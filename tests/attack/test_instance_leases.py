"""Leases of a task window and the instance that they serve: they end with it, and with nobody else's."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from answerable.core.identity.names.spiffe_id import SpiffeId
from answerable.core.identity.workload.evidence import CallerIdentity
from answerable.core.ledger.tags import Tag
from answerable.errors import Unavailable
from answerable.flows.revocation.end_instance import end_instance, end_lapsed, record_ends
from answerable.flows.state.lease_side import LeaseSide
from answerable.flows.trust_domain.workloads import Workloads
from answerable.flows.walk.govern_action import govern_action
from answerable.flows.workloads.enrol_workload import enrol
from answerable.testing.builders import Bench
from tests.attack.test_brokered_walk import GRANTS, AskedBroker, Watching
from tests.worlds.enrolment import attested_documents, enrolling, evidence_of
from tests.worlds.parts import to_govern

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("LEASE-16")]


async def brokered() -> tuple[Bench, Workloads, AskedBroker, Watching]:
    documents: list[Any] = attested_documents()
    for one in documents:
        if one["kind"] == "Server":
            one["spec"] = {"target": "crm-db"}
        if one["kind"] == "Capability" and one["spec"].get("method", "tools/call") == "tools/call":
            one["spec"]["lease"] = {"grants": GRANTS, "window": "task"}
    bench, workloads = await enrolling(
        [one for one in documents if one["kind"] != "Capability" or "lease" in one["spec"]]
    )
    broker = AskedBroker()
    bench.live.leases = LeaseSide(broker="broker", asks=broker)
    await bench.issue()
    return bench, workloads, broker, Watching(bench)


async def an_instance(workloads: Workloads, number: int) -> SpiffeId:
    return (await enrol(workloads, evidence=evidence_of(), key=None, process=f"boot:{number}:1")).id


async def act_as(bench: Bench, instance: SpiffeId) -> None:
    action, caller = bench.request("get_case", {"case": "4711"})
    identity = CallerIdentity(instance=str(instance), source="unix", grade="kernel", key="K" * 43)
    await govern_action(*to_govern(bench.walk), action, msgspec.structs.replace(caller, identity=identity))


async def test_what_an_instance_ends_for_ends_its_leases_first():
    bench, workloads, broker, _ = await brokered()
    first, second = await an_instance(workloads, 1), await an_instance(workloads, 2)
    await end_instance(workloads, first, because="asked")
    assert broker.asked[-1][0] == [("instance", str(first))]
    bench.clock.advance(7 * 86_400)
    await end_lapsed(workloads)
    assert broker.asked[-1][0] == [("instance", str(second))]


async def test_a_full_ledger_leaves_no_lease_of_an_instance_that_ended(monkeypatch):
    bench, workloads, broker, _ = await brokered()
    first = await an_instance(workloads, 1)

    def full(_: Any) -> Any:
        raise Unavailable("the disk is full", code="ledger.full", port="ledger")

    monkeypatch.setattr(bench.recorder.ledger, "submit", full)
    with pytest.raises(Unavailable):
        await end_instance(workloads, first, because="asked")
    assert broker.asked[-1][0] == [("instance", str(first))]


async def test_what_a_crash_left_between_end_and_lease_is_ended_by_the_next_start():
    _, workloads, broker, _ = await brokered()
    first = await an_instance(workloads, 1)
    workloads.instances.end_many([first], because="asked", by="")
    assert broker.asked == []
    assert await record_ends(workloads) == 1
    assert broker.asked[-1][0] == [("instance", str(first))]


async def test_two_instances_under_one_mandate_have_windows_of_their_own():
    bench, workloads, _, watching = await brokered()
    first, second = await an_instance(workloads, 1), await an_instance(workloads, 2)
    for instance in (first, second, first):
        await act_as(bench, instance)
    names = [one.brokered.terms.name for one in watching.warrants]
    assert names[0] == names[2] != names[1]
    assert [("instance", str(first)) in one.brokered.under for one in watching.warrants] == [
        True,
        False,
        True,
    ]
    assert len(bench.entries(Tag.INTENT)) == 3
