"""Attacks on the Broker API: nobody fetches what is another's, unless the registry lets it, and never after its end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
from grpclib.client import Channel
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from answerable.apps.workload_api import ConnectionLimits, Doors
from answerable.apps.workload_api.error_details import DetailedStatus, WireCodec
from answerable.apps.workload_api.messages import schema
from answerable.core.identity.svid.jwt_svid import verified_jwt_svid
from tests.worlds.workload_api import (
    BROKER_HEADER,
    DOMAIN,
    HEADER,
    LOOPS,
    OTHER,
    World,
    answer_of,
    asked,
    in_loop,
    millis,
    named,
    opened,
    serving,
)

API = "/spiffe.broker.API"
METHODS = [path for path in schema().methods if path.startswith(API)]
UNUSED_PID = 2**22 + 1


def request(path: str, kind: str = "WorkloadPIDReference", **members):
    """A request about a workload, with an audience where there is one."""
    made = schema().methods[path].takes()
    made.reference.reference.Pack(schema().message(f"spiffe.broker.{kind}")(**members))
    if "JWTSVID" in path:
        made.audience.append("billing")
    return made


async def refusal(call) -> tuple[Status, str]:
    with pytest.raises(GRPCError) as caught:
        await call
    return caught.value.status, caught.value.message or ""


async def ask(client, path, wanted):
    return await asked(client, path, wanted, metadata=BROKER_HEADER)


@contextlib.contextmanager
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A workload that waits."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def end_unnoticed(process: subprocess.Popen[bytes]) -> None:
    """It has ended, and nobody has waited for it."""
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


@contextlib.asynccontextmanager
async def broker_of(world, tmp_path, **more) -> AsyncIterator[Channel]:
    doors = Doors(broker=True)
    async with (
        serving(world, tmp_path / "api", doors=doors, **more),
        Channel(
            path=str(tmp_path / "api"), codec=WireCodec(), status_details_codec=DetailedStatus()
        ) as client,
    ):
        yield client


@pytest.mark.requirement("WAPI-11")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_broker_gets_what_the_workload_is_entitled_to_and_not_its_own(tmp_path, loop):
    async def scenario():
        world = World(brokers=lambda *_: True)
        with child() as workload:
            async with broker_of(world, tmp_path) as client:
                name = f"spiffe://{DOMAIN}/agent/tester/{workload.pid}"
                svids = await ask(client, METHODS[0], request(METHODS[0], pid=workload.pid))
                assert [svid.spiffe_id for svid in svids.svids] == [name]
                assert list(svids.federated_bundles) == [f"spiffe://{OTHER}"]
                bundles = await ask(client, METHODS[1], request(METHODS[1], pid=workload.pid))
                assert sorted(bundles.bundles) == [f"spiffe://{DOMAIN}", f"spiffe://{OTHER}"]
                token = (await ask(client, METHODS[2], request(METHODS[2], pid=workload.pid))).svids[0]
                judged = verified_jwt_svid(
                    token.svid, audience="billing", bundle_of=world.bundles().get, now=millis()
                )
                assert str(judged.id) == name
                keys = await ask(client, METHODS[3], request(METHODS[3], pid=workload.pid))
                assert sorted(keys.bundles) == [f"spiffe://{DOMAIN}", f"spiffe://{OTHER}"]
                assert {peer.pid for peer in world.asked} == {workload.pid}
                # What was issued names who fetched it.
                assert world.issued == [(name, named("/agent/broker").id)] * 2

    in_loop(scenario, loop)


@pytest.mark.requirement("WAPI-11")
def test_who_may_not_broker_learns_nothing_about_any_process(tmp_path):
    async def scenario():
        world = World()
        async with broker_of(world, tmp_path) as client:
            for path in METHODS:
                answers = {
                    await refusal(ask(client, path, request(path, pid=pid)))
                    for pid in (os.getpid(), UNUSED_PID, 1, -1)
                }
                answers.add(await refusal(ask(client, path, None)))
                assert answers == {
                    (Status.PERMISSION_DENIED, "no identity issued: workload_api.no_broker")
                }, path
        assert not world.asked

    in_loop(scenario)


@pytest.mark.requirement("WAPI-11")
def test_a_broker_gets_nothing_for_workloads_out_of_its_reach(tmp_path):
    async def scenario():
        world = World(brokers=lambda _, workload: workload is None)
        async with broker_of(world, tmp_path) as client:
            for path in METHODS:
                status, _ = await refusal(ask(client, path, request(path, pid=os.getpid())))
                assert status is Status.PERMISSION_DENIED
        assert not world.asked

    in_loop(scenario)


@pytest.mark.requirement("WAPI-11")
def test_a_reference_that_names_no_living_process_is_not_believed(tmp_path):
    async def scenario():
        world = World(brokers=lambda *_: True)
        with child() as workload:
            async with broker_of(world, tmp_path) as client:
                end_unnoticed(workload)
                nonsense = schema().methods[METHODS[0]].takes()
                nonsense.reference.reference.type_url = (
                    "type.googleapis.com/spiffe.broker.WorkloadPIDReference"
                )
                nonsense.reference.reference.value = b"\xff\xff"
                for wanted, expected in (
                    (request(METHODS[0], pid=UNUSED_PID), Status.NOT_FOUND),
                    (request(METHODS[0], pid=workload.pid), Status.NOT_FOUND),
                    (request(METHODS[0], pid=0), Status.INVALID_ARGUMENT),
                    (request(METHODS[0], pid=-1), Status.INVALID_ARGUMENT),
                    (request(METHODS[0], "KubernetesObjectReference", uid="u"), Status.INVALID_ARGUMENT),
                    (
                        request(METHODS[0], "X509SVID", spiffe_id="spiffe://ours.example/x"),
                        Status.INVALID_ARGUMENT,
                    ),
                    (nonsense, Status.INVALID_ARGUMENT),
                    (None, Status.INVALID_ARGUMENT),
                ):
                    assert (await refusal(ask(client, METHODS[0], wanted)))[0] is expected, wanted
        assert not world.asked

    in_loop(scenario)


@pytest.mark.requirement("WAPI-11")
@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_is_sent_for_a_workload_that_has_ended(tmp_path, loop):
    async def scenario():
        world = World(brokers=lambda *_: True)
        with child() as workload:
            async with broker_of(world, tmp_path) as client:
                path = METHODS[0]
                async with opened(client, path, BROKER_HEADER) as stream:
                    await stream.send_message(request(path, pid=workload.pid), end=True)
                    assert (await answer_of(stream)).svids
                    workload.kill()
                    # Nobody tells the door: the kernel does.
                    assert await stream.recv_message() is None
                    status, _ = await refusal(stream.recv_trailing_metadata())
                    assert status is Status.NOT_FOUND
                assert not world.watching

    in_loop(scenario, loop)


@pytest.mark.requirement("WAPI-11")
def test_a_broker_that_may_no_more_loses_its_streams(tmp_path):
    async def scenario():
        world = World(brokers=lambda *_: True)
        limits = ConnectionLimits(recheck_seconds=0.05)
        async with broker_of(world, tmp_path, limits=limits) as client:
            path = METHODS[3]
            async with opened(client, path, BROKER_HEADER) as stream:
                await stream.send_message(request(path, pid=os.getpid()), end=True)
                assert (await answer_of(stream)).bundles
                world.brokers = lambda *_: False
                assert await stream.recv_message() is None
                status, _ = await refusal(stream.recv_trailing_metadata())
                assert status is Status.PERMISSION_DENIED

    in_loop(scenario)


@pytest.mark.requirement("WAPI-11")
def test_reasons_come_as_error_details(tmp_path):
    """Broker API, section 4.8."""

    async def scenario():
        world = World(brokers=lambda *_: True, who=lambda _: ())
        async with broker_of(world, tmp_path) as client:
            for wanted, reason in (
                (None, "WORKLOAD_REFERENCE_INVALID"),
                (request(METHODS[2], pid=UNUSED_PID), "WORKLOAD_NOT_FOUND"),
                (request(METHODS[2], pid=os.getpid()), "WORKLOAD_NOT_ENTITLED"),
            ):
                wanted = wanted or schema().methods[METHODS[2]].takes(audience=["billing"])
                with pytest.raises(GRPCError) as caught:
                    await ask(client, METHODS[2], wanted)
                told = schema().message("google.rpc.ErrorInfo")()
                assert caught.value.details.details[0].Unpack(told)
                assert (told.domain, told.reason) == ("spiffe.io", reason)

    in_loop(scenario)


def question(path: str):
    """A request that is well formed, about this process."""
    if path.startswith(API):
        return request(path, pid=os.getpid())
    takes = schema().methods[path].takes
    if path.endswith("/ValidateJWTSVID"):
        return takes(audience="billing", svid="x")
    return takes(audience=["billing"]) if path.endswith("/FetchJWTSVID") else takes()


@pytest.mark.requirement("WAPI-04")
@pytest.mark.parametrize("path", schema().methods)
def test_nobody_gets_nothing_and_everybody_is_told_to_wait_while_we_are_not_ready(tmp_path, path):
    async def scenario():
        world = World(who=lambda _: (), brokers=lambda *_: True)
        doors = Doors(wit=True, broker=True)
        said = BROKER_HEADER if path.startswith(API) else HEADER
        async with (
            serving(world, tmp_path / "api", doors=doors),
            Channel(path=str(tmp_path / "api")) as client,
        ):
            status, _ = await refusal(asked(client, path, question(path), metadata=said))
            assert status is Status.PERMISSION_DENIED
            world.is_ready, world.who = False, lambda _: (named("/a"),)
            status, _ = await refusal(asked(client, path, question(path), metadata=said))
            assert status is Status.UNAVAILABLE

    in_loop(scenario)
