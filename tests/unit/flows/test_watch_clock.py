"""What is told of a wall clock that is set back."""

from __future__ import annotations

import logging

import anyio
import pytest

from answerable.core.identity.names.spiffe_id import SpiffeId
from answerable.errors import Refused
from answerable.flows.trust_domain.workloads import WorkloadLimits, Workloads
from answerable.flows.workloads.enrol_workload import enrol, live_instance
from answerable.flows.workloads.watch_clock import end_what_had_lapsed, watch_clock
from answerable.testing.clock import ManualClock
from tests.worlds.enrolment import InventedProcesses, enrolling, evidence_of, key_of

pytestmark = pytest.mark.anyio


def clock_of(workloads: Workloads) -> ManualClock:
    assert isinstance(workloads.recorder.clock, ManualClock)
    return workloads.recorder.clock


def invented(workloads: Workloads) -> InventedProcesses:
    assert isinstance(workloads.observer, InventedProcesses)
    return workloads.observer


def ended_because(workloads: Workloads, instance: SpiffeId) -> str:
    found = workloads.instances.find(instance)
    assert found is not None
    return found.ended_because


async def told(workloads: Workloads, jumps: list[float], caplog: pytest.LogCaptureFixture) -> list[str]:
    """By looks, each after time has passed and the clock was set by so much."""
    left, clock = iter(jumps), clock_of(workloads)
    with (
        anyio.CancelScope() as watching,
        caplog.at_level(logging.WARNING, "answerable.flows.workloads.watch_clock"),
    ):

        async def sleep(seconds: float) -> None:
            clock.advance(seconds)
            jump = next(left, None)
            if jump is None:
                watching.cancel()
                await anyio.lowlevel.checkpoint()
            else:
                clock.jump(jump)

        await watch_clock(workloads, sleep=sleep)
    return [record.getMessage() for record in caplog.records]


async def test_each_time_that_the_clock_is_set_back_is_told_once_with_what_to_do(caplog):
    _, workloads = await enrolling()
    found = await told(workloads, [0, -90, 0, 0, -3600, 0], caplog)
    assert [text.partition(":")[0] for text in found] == [
        "the clock was set back by 90 s",
        "the clock was set back by 3600 s",
    ]
    assert all("set it right" in text for text in found)


async def test_what_a_time_server_corrects_and_a_clock_that_is_set_ahead_are_no_news(caplog):
    _, workloads = await enrolling()
    assert await told(workloads, [0, -1.5, 0.5, 3600, 0, -1, 0], caplog) == []


async def test_a_clock_behind_the_newest_entry_of_the_ledger_is_told_at_the_start(caplog):
    bench, workloads = await enrolling()
    bench.clock.jump(-7_200)
    (text,) = await told(workloads, [0, 0], caplog)
    assert text.startswith("the clock is 7200 s behind the newest entry of the ledger: ")


@pytest.mark.requirement("TRUST-21", "ENROL-06")
async def test_an_instance_that_had_run_out_before_anybody_looked_stays_ended_when_the_clock_goes_back(
    caplog,
):
    _, workloads = await enrolling(limits=WorkloadLimits(instance_seconds=100))
    one = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    invented(workloads).start(1)
    clock_of(workloads).jump(3_600)
    with pytest.raises(Refused, match="has ended"):
        live_instance(workloads, one.id)
    await told(workloads, [0, -3_600, 0], caplog)
    assert ended_because(workloads, one.id) == "instance.expired"


@pytest.mark.requirement("TRUST-21", "ENROL-06")
async def test_before_any_door_opens_what_an_entry_of_the_ledger_came_after_stays_ended():
    bench, workloads = await enrolling(limits=WorkloadLimits(instance_seconds=100))
    one = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    await enrol(workloads, evidence=one.evidence, key=key_of("s-1"), parent=one.id)
    bench.clock.jump(3_600)
    late = await enrol(workloads, evidence=evidence_of(), key=key_of("i-2"), process="boot:2:1")
    bench.clock.jump(-3_600)
    # It came when the clock was right again, so the later time of an earlier entry says nothing of it.
    again = await enrol(workloads, evidence=evidence_of(), key=key_of("i-3"), process="boot:3:1")
    await end_what_had_lapsed(workloads)
    assert ended_because(workloads, one.id) == "instance.expired"
    assert {found.id for found in workloads.instances.live()} == {late.id, again.id}


async def test_where_the_clock_is_right_nothing_ends_before_the_doors_open():
    bench, workloads = await enrolling(limits=WorkloadLimits(instance_seconds=100))
    one = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    bench.clock.advance(99)
    await end_what_had_lapsed(workloads)
    assert live_instance(workloads, one.id) == one
