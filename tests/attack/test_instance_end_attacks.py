"""Attacks on the end of instances: coming back as the same process, slipping in while it ends, losing its record."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

import answerable.flows.revocation.end_instance as ending
from answerable.adapters.sqlite import SqliteInstanceRegister, SqliteStore
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.workload.instance import Instance
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.registry.set_agent_status import set_agent_status
from answerable.flows.revocation.end_instance import end_agent, end_instance, follow_standing, record_ends
from answerable.flows.trust_domain.workloads import WorkloadLimits
from answerable.flows.workloads.enrol_workload import enrol, live_instance, renew
from answerable.testing.registers import fresh
from tests.worlds.enrolment import (
    attested_documents,
    enrolling,
    evidence_of,
    key_of,
    with_status,
    workloads_over,
)
from tests.worlds.gateway import until
from tests.worlds.parts import to_apply

pytestmark = pytest.mark.anyio
SCOUT = AgentId("scout")


class Slow(SqliteInstanceRegister):
    """A register whose writes wait until the test lets them go, as those of a file that another process keeps do."""

    def __init__(self, store: SqliteStore) -> None:
        super().__init__(store)
        self.waiting = threading.Event()
        self.go = threading.Event()
        self.slow = False
        self.threads: set[int] = set()

    def add(self, instance: Instance) -> None:
        self._wait()
        super().add(instance)

    def put(self, instance: Instance) -> bool:
        self._wait()
        return super().put(instance)

    def end_many(self, instances: Any, *, because: str, by: str = "") -> tuple[Instance, ...]:
        self.threads.add(threading.get_ident())
        return super().end_many(instances, because=because, by=by)

    def _wait(self) -> None:
        self.threads.add(threading.get_ident())
        if self.slow:
            self.waiting.set()
            assert self.go.wait(30)


async def slowly(register: Slow, write: Any, meanwhile: Any) -> Refused | None:
    """What `write` raised, where `meanwhile` ran while its write was on its way."""
    raised: list[Refused] = []

    async def run() -> None:
        try:
            await write()
        except Refused as error:
            raised.append(error)

    register.slow = True
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await until(register.waiting.is_set)
        register.slow = False
        await meanwhile()
        register.go.set()
    return raised[0] if raised else None


@pytest.mark.requirement("ENDS-03")
@pytest.mark.parametrize("because", ["operator.ended", "agent.retired", "process.gone", "anything.else"])
async def test_a_process_whose_instance_was_ended_does_not_come_back_by_asking_again(because):
    """A process of the Workload API asks again by itself, every second: its end must not last only so long."""
    bench, workloads = await enrolling()
    one = await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1")
    await end_instance(workloads, one.id, because=because)
    for key in (None, key_of("i-1")):
        with pytest.raises(Refused) as error:
            await enrol(workloads, evidence=evidence_of(), key=key, process="boot:1:1")
        assert error.value.code == "instance.ended"
    assert len(bench.entries(Tag.WORKLOAD_ENROLLED)) == 1
    # Another process, or this program started anew under the same number, is somebody else.
    for other in ("boot:2:1", "boot:1:2", "boot2:1:1"):
        await enrol(workloads, evidence=evidence_of(), key=None, process=other)


@pytest.mark.requirement("ENDS-03")
async def test_a_process_does_not_come_back_by_asking_while_it_is_ended_and_its_time_runs_out():
    class Overtaken(SqliteInstanceRegister):
        """Where an operator's end always comes just before that of whose time ran out."""

        def end_many(self, instances: Any, *, because: str, by: str = "") -> tuple[Instance, ...]:
            if because == "instance.expired":
                super().end_many(instances, because="operator.ended")
            return super().end_many(instances, because=because, by=by)

    bench, workloads = await enrolling(limits=WorkloadLimits(instance_seconds=100))
    workloads.instances = fresh(Overtaken)
    await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1")
    bench.clock.advance(101)
    with pytest.raises(Refused) as error:
        await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1")
    assert error.value.code == "instance.ended"


@pytest.mark.requirement("ENDS-03")
async def test_forgetting_an_ended_instance_does_not_let_its_process_back_in():
    bench, workloads = await enrolling(limits=WorkloadLimits(instance_seconds=100))
    one = await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1")
    await end_instance(workloads, one.id, because="operator.ended")
    bench.clock.advance(1_000)
    assert workloads.instances.forget_ended(before=bench.clock.now()) == 1
    with pytest.raises(Refused):
        await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1")


@pytest.mark.requirement("ENDS-03")
async def test_a_process_comes_back_after_its_time_its_own_wish_or_the_suspension_of_its_agent():
    bench, workloads = await enrolling(limits=WorkloadLimits(instance_seconds=100))
    seen = [await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1")]
    for because in ("instance.expired", "asked", "agent.inactive"):
        await end_instance(workloads, seen[-1].id, because=because)
        seen.append(await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1"))
    await set_agent_status(workloads, SCOUT, "suspended", by="operator")
    with pytest.raises(Refused) as error:
        await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1")
    assert error.value.code == "agent.inactive"
    await set_agent_status(workloads, SCOUT, "active", by="operator")
    seen.append(await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1"))
    bench.clock.advance(101)
    seen.append(await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1"))
    assert len({one.id for one in seen}) == 6


@pytest.mark.requirement("ENDS-04")
async def test_an_enrolment_does_not_slip_in_behind_the_suspension_of_its_agent():
    bench, workloads = await enrolling()
    workloads.instances = register = fresh(Slow)

    async def suspended() -> None:
        change = await set_agent_status(workloads, SCOUT, "suspended", by="operator")
        assert change.ended == ()

    async def enrolled() -> None:
        await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")

    error = await slowly(register, enrolled, suspended)
    assert error is not None
    assert error.code == "agent.inactive"
    assert list(register.live()) == []
    (ended,) = bench.entries(Tag.WORKLOAD_ENDED)
    assert ended["because"] == "agent.inactive"


@pytest.mark.requirement("ENDS-04")
async def test_a_renewal_does_not_outlive_the_end_that_it_met():
    bench, workloads = await enrolling(limits=WorkloadLimits(instance_seconds=100))
    workloads.instances = register = fresh(Slow)
    one = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    bench.clock.advance(60)

    async def ended() -> None:
        await end_instance(workloads, one.id, because="operator.ended")

    async def renewed() -> None:
        await renew(workloads, one.id)

    error = await slowly(register, renewed, ended)
    assert error is not None
    assert error.code == "instance.ended"
    with pytest.raises(Refused):
        live_instance(workloads, one.id)


@pytest.mark.requirement("ENDS-04")
async def test_a_sub_agent_does_not_slip_in_behind_the_end_of_its_parent():
    _, workloads = await enrolling()
    workloads.instances = register = fresh(Slow)
    parent = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")

    async def ended() -> None:
        await end_instance(workloads, parent.id, because="operator.ended")

    async def below() -> None:
        await enrol(workloads, evidence=parent.evidence, key=key_of("s-1"), parent=parent.id)

    error = await slowly(register, below, ended)
    assert error is not None
    assert error.code == "instance.ended"
    assert list(register.live()) == []


@pytest.mark.requirement("ENDS-04")
async def test_who_leaves_while_an_enrolment_is_written_leaves_nothing_half_done():
    """The caller goes away: what the ledger says is in force is, and what was ended is ended and recorded."""
    bench, workloads = await enrolling()
    workloads.instances = register = fresh(Slow)
    register.slow = True
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            lambda: enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
        )
        await until(register.waiting.is_set)
        tasks.cancel_scope.cancel()
        register.go.set()
    (live,) = register.live()
    assert [entry["instance"] for entry in bench.entries(Tag.WORKLOAD_ENROLLED)] == [str(live.id)]


@pytest.mark.requirement("ENDS-01")
async def test_no_write_of_the_register_runs_on_the_event_loop():
    _, workloads = await enrolling()
    workloads.instances = register = fresh(Slow)
    one = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    await end_instance(workloads, one.id, because="asked")
    assert register.threads
    assert threading.get_ident() not in register.threads


@pytest.mark.requirement("ENDS-01")
async def test_whoever_suspends_an_agent_while_the_file_is_kept_by_another_process_holds_nobody_up(
    tmp_path: Path,
):
    _, workloads = await enrolling()
    store = SqliteStore.open(tmp_path / "registers.db")
    workloads.instances = SqliteInstanceRegister(store)
    for number in range(20):
        await enrol(workloads, evidence=evidence_of(), key=None, process=f"boot:{number}:1")
    # Another process's write, for as long as this block lasts.
    other = sqlite3.connect(tmp_path / "registers.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ended: list[Any] = []

    async def end() -> None:
        ended.append(await end_agent(workloads, SCOUT, because="agent.suspended"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(end)
        # All of this runs while the write waits: the loop is free, and the other process lets go only after it.
        for _ in range(50):
            await anyio.sleep(0.002)
            assert len(list(workloads.instances.of_agent(SCOUT))) == 20
        assert ended == []
        other.execute("ROLLBACK")
    other.close()
    assert len(ended[0]) == 20
    assert list(workloads.instances.live()) == []


@pytest.mark.requirement("ENDS-02")
async def test_an_end_whose_record_was_lost_with_the_process_is_recorded_by_the_next_one(
    tmp_path: Path, monkeypatch
):
    bench, workloads = await enrolling()
    file = tmp_path / "registers.db"
    store = SqliteStore.open(file)
    workloads.instances = SqliteInstanceRegister(store)
    one = await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1")
    await enrol(workloads, evidence=one.evidence, key=key_of("s-1"), parent=one.id)
    submit = bench.recorder.ledger.submit

    def full(entry: Any) -> Any:
        raise Unavailable("the disk is full", code="ledger.full", port="ledger")

    monkeypatch.setattr(bench.recorder.ledger, "submit", full)
    with pytest.raises(Unavailable):
        await end_instance(workloads, one.id, because="operator.ended")
    store.close()
    monkeypatch.setattr(bench.recorder.ledger, "submit", submit)
    assert bench.entries(Tag.WORKLOAD_ENDED) == []
    # The next process knows nothing but the file.
    again = workloads_over(bench.walk)
    again.instances = SqliteInstanceRegister(SqliteStore.open(file))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: follow_standing(again, poll_seconds=0.005))
        await until(lambda: len(bench.entries(Tag.WORKLOAD_ENDED)) == 2)
        tasks.cancel_scope.cancel()
    because = [entry["because"] for entry in bench.entries(Tag.WORKLOAD_ENDED)]
    assert because == ["operator.ended", "parent.ended"]
    assert again.instances.unrecorded() == ()
    assert await record_ends(again) == 0


@pytest.mark.requirement("ENDS-02")
async def test_a_ledger_that_fills_up_in_between_loses_no_end_and_records_none_twice(monkeypatch):
    bench, workloads = await enrolling()
    for number in range(5):
        await enrol(workloads, evidence=evidence_of(), key=None, process=f"boot:{number}:1")
    submit, room = bench.recorder.ledger.submit, [3]

    def filling(entry: Any) -> Any:
        if not room[0]:
            raise Unavailable("the disk is full", code="ledger.full", port="ledger")
        room[0] -= 1
        return submit(entry)

    monkeypatch.setattr(bench.recorder.ledger, "submit", filling)
    with pytest.raises(Unavailable):
        await end_agent(workloads, SCOUT, because="agent.retired")
    assert len(workloads.instances.unrecorded()) == 2
    monkeypatch.setattr(bench.recorder.ledger, "submit", submit)
    assert await record_ends(workloads) == 2
    told = [entry["instance"] for entry in bench.entries(Tag.WORKLOAD_ENDED)]
    assert len(told) == len(set(told)) == 5


@pytest.mark.requirement("ENDS-02")
async def test_of_processes_with_one_register_another_records_an_end_only_once_it_has_waited(monkeypatch):
    """Else two would write each end: both see it before the one that ended it has written it down."""
    rounds, record_waiting = [], ending._record_waiting

    async def counted(*given):
        seen = await record_waiting(*given)
        rounds.append(seen)
        return seen

    monkeypatch.setattr(ending, "_record_waiting", counted)
    bench, workloads = await enrolling()
    other = workloads_over(bench.walk)
    other.instances = workloads.instances
    ones = [await enrol(workloads, evidence=evidence_of(), key=key_of(f"i-{n}")) for n in range(3)]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: follow_standing(other, poll_seconds=0.002, sweep_seconds=1e9))
        await until(lambda: rounds)  # what it finds at its start it records at once
        workloads.instances.end(ones[0].id, because="agent.retired")
        await end_instance(workloads, ones[1].id, because="asked")
        before = len(rounds)
        await until(lambda: len(rounds) > before + 2)
        assert [one["instance"] for one in bench.entries(Tag.WORKLOAD_ENDED)] == [str(ones[1].id)]
        bench.clock.advance(11)
        await until(lambda: len(bench.entries(Tag.WORKLOAD_ENDED)) == 2)
        tasks.cancel_scope.cancel()
    assert workloads.instances.unrecorded() == ()


@pytest.mark.requirement("ENDS-04")
async def test_the_sweep_ends_what_lives_of_an_agent_that_is_out_of_force_however_it_came_there():
    bench, workloads = await enrolling()
    live = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    documents = with_status(attested_documents(), "scout", "suspended")
    await end_instance(workloads, live.id, because="asked")
    await apply_registry(*to_apply(bench.walk), documents, by="operator")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: follow_standing(workloads, poll_seconds=0.002, sweep_seconds=0.005))
        await anyio.sleep(0.05)
        late = fresh(SqliteInstanceRegister)
        late.add(live)
        workloads.instances = late
        bench.clock.advance(1)
        await until(lambda: not list(late.live()))
        tasks.cancel_scope.cancel()
