"""Attacks by asking without end: fork loops, documents by the thousand, strangers' programs, used-up challenges."""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import anyio
import anyio.to_thread
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.apps.enrolment.desk import Asked, EnrolmentDesk
from answerable.apps.enrolment.services import EnrolmentServices
from answerable.apps.workload_api.peer import PeerProcess, referenced_process
from answerable.apps.workload_api.product_needs import WorkloadNeeds
from answerable.apps.workload_api.seen_strangers import NAMES_PER_USER_MAX, SECONDS, USERS_MAX, SeenStrangers
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.proof.channel import Channel, PeerCredentials
from answerable.core.identity.svid.trust_bundle import TrustBundle
from answerable.core.identity.workload.evidence import CallerIdentity
from answerable.core.ledger.tags import Tag
from answerable.core.registry.snapshot.discovered_asset import DiscoveredAssets
from answerable.errors import Malformed, Refused, Unavailable, Unverified
from answerable.flows.state.known_callers import instance_stands
from answerable.flows.trust_domain.workloads import WorkloadLimits, Workloads
from answerable.flows.workloads import hand_out_svid
from answerable.flows.workloads.enrol_workload import enrol, renew
from answerable.ports.process_observer import ProcessFacts
from answerable.testing.builders import Bench
from tests.worlds.enrolment import (
    PATH,
    UID,
    UNIX,
    attested_documents,
    challenge_of,
    enrolling,
    evidence_of,
    fresh_key,
    key_of,
    served,
    signed_body,
)
from tests.worlds.instance import THEIRS, InstanceWorld

pytestmark = pytest.mark.anyio
linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word about processes is Linux's")
FEW = WorkloadLimits(instances_per_minute_max=3, documents_per_minute_max=5)


async def forked(workloads: Workloads, number: int, *, agent: str = "scout") -> Any:
    """One more process of an agent asks."""
    evidence = evidence_of() if agent == "scout" else evidence_of("unix:uid:2000")
    return await enrol(workloads, evidence=evidence, key=None, process=f"boot:{agent}:{number}")


async def refused(awaited: Any) -> Refused:
    with pytest.raises(Refused) as error:
        await awaited
    return error.value


@pytest.mark.requirement("FLOOD-01")
async def test_a_fork_loop_is_slowed_down_and_holds_up_nobody_else():
    bench, workloads = await enrolling(limits=FEW)
    first = await forked(workloads, 0)
    await forked(workloads, 1)
    await forked(workloads, 2)
    size = bench.recorder.ledger.size
    for number in range(3, 100):
        error = await refused(forked(workloads, number))
        assert error.code == "workloads.pace"
        assert error.message.endswith("try again in 20000 ms")
    assert bench.recorder.ledger.size == size
    assert len(list(workloads.instances.live())) == 3
    # Who is enrolled already is not asked again; another agent has a pace of its own.
    assert await forked(workloads, 0) == first
    await forked(workloads, 0, agent="rover")
    bench.clock.advance(20)
    await forked(workloads, 100)
    assert (await refused(forked(workloads, 101))).code == "workloads.pace"


@pytest.mark.requirement("FLOOD-01")
async def test_sub_agents_and_new_keys_are_new_instances_too():
    bench, workloads = await enrolling(limits=FEW)
    parent = await enrol(workloads, evidence=evidence_of(), key=key_of("i-0"))
    for number in (1, 2):
        await enrol(workloads, evidence=parent.evidence, key=key_of(f"i-{number}"), parent=parent.id)
    size = bench.recorder.ledger.size
    below = enrol(workloads, evidence=parent.evidence, key=key_of("i-3"), parent=parent.id)
    assert (await refused(below)).code == "workloads.pace"
    beside = enrol(workloads, evidence=evidence_of(), key=key_of("i-4"))
    assert (await refused(beside)).code == "workloads.pace"
    assert bench.recorder.ledger.size == size
    # What was refused used nothing up.
    bench.clock.advance(20)
    await enrol(workloads, evidence=evidence_of(), key=key_of("i-4"))


@pytest.mark.requirement("FLOOD-01")
async def test_documents_without_end_are_refused_before_they_are_signed_or_recorded():
    bench, workloads = await enrolling(limits=FEW)
    one, other = await forked(workloads, 0), await forked(workloads, 0, agent="rover")
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    for _ in range(4):
        await hand_out_svid.jwt_svid(workloads, one.id, ("x",))
    await hand_out_svid.x509_svid(workloads, one.id, key)
    size = bench.recorder.ledger.size
    for fetch in (
        partial(hand_out_svid.jwt_svid, workloads, one.id, ("x",)),
        partial(hand_out_svid.x509_svid, workloads, one.id, key),
        partial(hand_out_svid.wit_svid, workloads, one.id, key, "{}"),
    ):
        error = await refused(fetch())
        assert error.code == "workloads.pace"
        assert "try again in 12000 ms" in error.message
    assert bench.recorder.ledger.size == size
    await hand_out_svid.jwt_svid(workloads, other.id, ("x",))
    bench.clock.advance(12)
    await hand_out_svid.jwt_svid(workloads, one.id, ("x",))


@pytest.mark.requirement("FLOOD-01")
async def test_a_process_that_becomes_another_program_again_and_again_fills_no_ledger():
    bench, workloads = await enrolling(limits=FEW)
    one = await forked(workloads, 0)
    for number in range(5):
        await renew(workloads, one.id, evidence=evidence_of(PATH, UID, f"unix:cgroup:/{number}"))
    size = bench.recorder.ledger.size
    for number in range(5, 50):
        changed = renew(workloads, one.id, evidence=evidence_of(PATH, UID, f"unix:cgroup:/{number}"))
        assert (await refused(changed)).code == "workloads.pace"
    assert bench.recorder.ledger.size == size
    assert len(bench.entries(Tag.WORKLOAD_ENROLLED)) == 6


@pytest.mark.requirement("FLOOD-01")
def test_limits_below_one_are_no_limits():
    for name in ("instances_per_minute_max", "documents_per_minute_max", "forget_seconds"):
        with pytest.raises(Malformed):
            WorkloadLimits(**{name: 0})


@dataclass(slots=True)
class SlowKernel:
    """Port ProcessObserver whose measurements end when they are let go. pidfds: as they were given."""

    uid: int = 4711
    go: threading.Event = field(default_factory=threading.Event)
    pidfds: list[int] = field(default_factory=list)
    number: int = 0

    def observe(self, pid: int, *, started: int, pidfd: int | None = None) -> ProcessFacts:
        self.pidfds.append(-1 if pidfd is None else pidfd)
        assert self.go.wait(20)
        self.number += 1
        name = f"/opt/{self.number}\nspiffe://example.test/agent/scout"
        digest = f"{self.number:064x}"[::-1]
        return ProcessFacts(process=f"boot:{pid}:{started}", uid=self.uid, gid=7, path=name, sha256=digest)

    def started(self, pid: int) -> int:
        return 1

    def is_alive(self, process: str) -> bool:
        return True


async def door(observer: SlowKernel) -> tuple[Bench, WorkloadNeeds, DiscoveredAssets]:
    bench, workloads = await enrolling()
    workloads.observer = observer
    seen = DiscoveredAssets()
    return bench, WorkloadNeeds(cast("Any", SimpleNamespace(seen=seen)), workloads), seen


def this_process(kernel: SlowKernel) -> PeerProcess:
    found = referenced_process(os.getpid())
    assert found is not None
    return replace(found, uid=kernel.uid, gid=7)


@linux
@pytest.mark.requirement("FLOOD-02")
async def test_a_stranger_that_asks_a_thousand_times_is_told_to_come_again_and_keeps_nothing_open():
    slow = SlowKernel()
    _, needs, _ = await door(slow)
    peer, codes = this_process(slow), []
    before = len(os.listdir("/proc/self/fd"))

    async def ask() -> None:
        try:
            await needs.identify(peer)
        except (Refused, Unavailable) as error:
            codes.append(error.code)

    async with anyio.create_task_group() as tasks:
        for _ in range(1_000):
            tasks.start_soon(ask)
        with anyio.fail_after(20):
            while len(codes) < 991 or not slow.pidfds:  # noqa: ASYNC110 - nothing sets an event
                await anyio.sleep(0.001)
        assert len(slow.pidfds) == 1
        assert await anyio.to_thread.run_sync(threading.get_ident)
        slow.go.set()
    assert codes.count("process.busy") == 991
    assert codes.count("attestation.unknown") == 9
    peer.close()
    assert len(os.listdir("/proc/self/fd")) <= before


@linux
@pytest.mark.requirement("FLOOD-02")
async def test_who_hangs_up_before_its_turn_leaves_nothing_open():
    slow = SlowKernel()
    _, needs, _ = await door(slow)
    peer = this_process(slow)
    async with anyio.create_task_group() as tasks:

        async def first() -> None:
            with pytest.raises(Refused):
                await needs.identify(peer)

        tasks.start_soon(first)
        await anyio.wait_all_tasks_blocked()
        before = len(os.listdir("/proc/self/fd"))
        async with anyio.create_task_group() as leaving:
            for _ in range(8):
                leaving.start_soon(needs.identify, peer)
            await anyio.wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
        assert len(os.listdir("/proc/self/fd")) == before
        slow.go.set()
    peer.close()


@linux
@pytest.mark.requirement("FLOOD-02")
async def test_enrolled_processes_that_all_ask_again_at_once_are_all_answered():
    """As they do when the registry changes; a stranger of the same user is told to come again meanwhile."""
    kernel = SlowKernel(uid=2000)
    kernel.go.set()
    _, needs, _ = await door(kernel)
    peer = this_process(kernel)
    [name] = await needs.identify(peer)
    kernel.go.clear()
    answers: list[Any] = []

    async def ask() -> None:
        answers.extend(await needs.identify(peer))

    before = len(os.listdir("/proc/self/fd"))
    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        stranger = replace(peer, pid=peer.pid + 1)
        with pytest.raises(Unavailable):
            await needs.identify(stranger)
        # Who waits holds nothing.
        assert len(os.listdir("/proc/self/fd")) <= before + 1
        kernel.go.set()
    assert answers == [name] * 100
    peer.close()
    with pytest.raises(Unverified):
        await needs.identify(peer)


@linux
@pytest.mark.requirement("FLOOD-03")
async def test_a_stranger_chooses_neither_names_nor_number_of_its_sightings():
    slow = SlowKernel()
    slow.go.set()
    bench, needs, seen = await door(slow)
    peer = this_process(slow)
    for _ in range(60):
        with pytest.raises(Refused):
            await needs.identify(peer)
    names = {one.name for one in seen.take()}
    assert len(names) == NAMES_PER_USER_MAX
    assert "uid 4711 others" in names
    assert f"uid 4711 sha256 {'1' + '0' * 11}" in names
    assert not any("spiffe" in name or "/" in name for name in names)
    # The next batch has no more of them, and what is known already keeps its name.
    slow.number = 0
    for _ in range(60):
        with pytest.raises(Refused):
            await needs.identify(peer)
    assert {one.name for one in seen.take()} == names
    bench.clock.advance(SECONDS)
    peer.close()


@pytest.mark.requirement("FLOOD-03")
async def test_the_number_of_users_that_are_told_apart_is_bounded_too():
    bench, _ = await enrolling()
    seen = DiscoveredAssets()
    strangers = SeenStrangers(seen, bench.clock)
    for uid in range(USERS_MAX + 50):
        strangers.note(ProcessFacts(process="boot:1:1", uid=uid, gid=uid))
    found = {one.name: one.count for one in seen.take()}
    assert found["other users"] == 50
    assert found["uid 999 sha256 ?"] == 1
    bench.clock.advance(SECONDS)
    strangers.note(ProcessFacts(process="boot:1:1", uid=5000, gid=1))
    assert [one.name for one in seen.take()] == ["uid 5000 sha256 ?"]


@linux
@pytest.mark.requirement("FLOOD-04")
async def test_challenges_that_strangers_used_up_over_tcp_keep_nobody_out(tmp_path):
    async with served(tmp_path, acting=False) as world:
        waiting = await challenge_of(world)
        # More than a memory of taken ones could hold: 65,536 were once refused to everybody for a minute.
        for _ in range(70_000):
            world.workloads.take_challenge(world.workloads.challenge())
        for challenge in (waiting, await challenge_of(world)):
            token = world.workloads.attestor.new_join_token("first", AgentId("scout"))
            body = signed_body(challenge, fresh_key(), {"type": "join_token", "token": token})
            status, answer = await world.post("enrol", body)
            assert (status, answer.get("agent")) == (200, "scout")
            # Taken once: neither the very request nor another one over the same challenge passes.
            for replayed in (body, signed_body(challenge, fresh_key(), body["attestation"])):
                status, problem = await world.post("enrol", replayed)
                assert (status, problem["code"]) == (401, "challenge.used")
        async with world.client(uds=True) as client:
            found = await client.enrol(await client.challenge(), key=fresh_key(), attestation=UNIX)
        assert found.agent == "scout"


@pytest.mark.requirement("FLOOD-04")
async def test_places_for_attestation_that_one_kind_of_callers_took_are_free_for_the_other():
    slow = SlowKernel(uid=1000)
    _, workloads = await enrolling(
        attested_documents({"scout": [["unix:uid:1000"], ["join_token:name:first"]]})
    )
    workloads.observer = slow
    desk = EnrolmentDesk(EnrolmentServices(workloads=workloads, prover=cast("Any", None), attesting_max=1))
    local = Channel(connection=1, sequence=1, peer=PeerCredentials(pid=7, uid=1000, gid=1000, started=1))

    async def ask(channel: Channel | None, attestation: Any) -> Any:
        asked = partial(Asked, method="GET", target=b"/", headers=(), channel=channel)
        challenge = str((await desk.challenge(asked(body=b"")))["challenge"])
        body = signed_body(challenge, fresh_key(), attestation)
        return await desk.enrol(asked(body=json.dumps(body).encode()))

    def joining() -> dict[str, str]:
        token = workloads.attestor.new_join_token("first", AgentId("scout"))
        return {"type": "join_token", "token": token}

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, local, UNIX)
        with anyio.fail_after(20):
            while desk._attesting[True] == 0:  # noqa: ASYNC110 - nothing sets an event
                await anyio.sleep(0.001)
        assert (await refused(ask(local, joining()))).code == "enrolment.busy"
        assert (await ask(None, joining()))["agent"] == "scout"
        slow.go.set()
    assert desk._attesting == {True: 0, False: 0}


@linux
@pytest.mark.requirement("FLOOD-04")
async def test_a_challenge_of_one_door_is_none_of_the_other(tmp_path):
    async with served(tmp_path, acting=False) as world:
        token = world.workloads.attestor.new_join_token("first", AgentId("scout"))
        body = signed_body(
            await challenge_of(world, uds=True), fresh_key(), {"type": "join_token", "token": token}
        )
        status, problem = await world.post("enrol", body)
        assert (status, problem["code"]) == (401, "challenge.unknown")
        async with world.client() as over_tcp, world.client(uds=True) as client:
            challenge = await over_tcp.challenge()
            with pytest.raises(Exception, match=r"not issued by this server"):
                await client.enrol(challenge, key=fresh_key(), attestation=UNIX)
        assert world.entries(Tag.WORKLOAD_ENROLLED) == []


@pytest.mark.requirement("FLOOD-05")
async def test_an_identity_of_a_domain_without_authorities_stands_no_longer():
    world = InstanceWorld()
    identity = CallerIdentity(instance=f"spiffe://{THEIRS}/x", source="spiffe", grade="gateway")
    now = world.clock.now()
    stands = partial(instance_stands, world.instances)
    assert stands(world.trust, identity, now)
    assert not stands(None, identity, now)
    empty = TrustBundle(trust_domain=THEIRS)
    world.trust.found[THEIRS] = empty
    assert not stands(world.trust, identity, now)
    del world.trust.found[THEIRS]
    assert not stands(world.trust, identity, now)
    # Our own do not depend on that: they are enrolled here.
    own = CallerIdentity(instance=str(world.instance.id), source="unix", grade="kernel")
    world.trust.found.clear()
    assert stands(world.trust, own, now)
