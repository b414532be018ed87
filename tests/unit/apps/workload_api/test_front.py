"""The server: what it opens, what it shows by reflection, how it ends."""

from __future__ import annotations

import asyncio
import socket

import anyio
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpclib.client import Channel
from grpclib.exceptions import GRPCError, StreamTerminatedError
from grpclib.reflection.v1.reflection_grpc import ServerReflectionStub
from grpclib.reflection.v1.reflection_pb2 import ServerReflectionRequest

from answerable.apps.workload_api import Doors, WorkloadFront, check_socket, serve
from answerable.apps.workload_api.front import GRACE_SECONDS
from answerable.apps.workload_api.messages import schema
from answerable.errors import Unavailable
from tests.worlds.workload_api import LOOPS, World, answer_of, asked, bound, in_loop, opened, serving

X509 = "/SpiffeWorkloadAPI/FetchX509SVID"


@pytest.mark.parametrize("loop", LOOPS)
def test_it_serves_until_told_to_stop_and_open_streams_end_then(tmp_path, loop):
    async def scenario():
        stop, started = anyio.Event(), asyncio.Event()
        listener = bound(tmp_path / "api")
        serving_task = asyncio.create_task(serve(World(), listener, stop=stop, started=started.set))
        await started.wait()
        async with Channel(path=str(tmp_path / "api")) as client, opened(client, X509) as stream:
            await stream.send_message(schema().message("X509SVIDRequest")(), end=True)
            assert (await answer_of(stream)).svids
            stop.set()
            await serving_task
            with pytest.raises((StreamTerminatedError, GRPCError)):
                await stream.recv_message()
        assert listener.fileno() == -1

    in_loop(scenario, loop)


def test_reflection_shows_the_services_of_the_private_pool(tmp_path):
    async def scenario():
        doors = Doors(broker=True)
        async with (
            serving(World(), tmp_path / "api", doors=doors),
            Channel(path=str(tmp_path / "api")) as client,
        ):
            stub = ServerReflectionStub(client)
            (listed, found) = await stub.ServerReflectionInfo(
                [
                    ServerReflectionRequest(list_services=""),
                    ServerReflectionRequest(file_containing_symbol="SpiffeWorkloadAPI"),
                ]
            )
            names = [one.name for one in listed.list_services_response.service]
            assert names == ["SpiffeWorkloadAPI", "spiffe.broker.API"]
            (encoded,) = found.file_descriptor_response.file_descriptor_proto
            file = FileDescriptorProto.FromString(encoded)
            assert [method.name for method in file.service[0].method][:2] == [
                "FetchX509SVID",
                "FetchX509Bundles",
            ]

    in_loop(scenario)


def test_without_reflection_nothing_is_shown(tmp_path):
    async def scenario():
        doors = Doors(reflection=False)
        async with (
            serving(World(), tmp_path / "api", doors=doors),
            Channel(path=str(tmp_path / "api")) as client,
        ):
            with pytest.raises(GRPCError, match="method not found"):
                await ServerReflectionStub(client).ServerReflectionInfo(
                    [ServerReflectionRequest(list_services="")]
                )
            assert (await asked(client, X509)).svids

    in_loop(scenario)


def test_the_broker_api_can_have_a_socket_of_its_own(tmp_path):
    """Broker Endpoint, section 2: out of reach of workloads."""

    async def scenario():
        doors = Doors(workload=False, broker=True)
        world = World(brokers=lambda *_: True)
        async with (
            serving(world, tmp_path / "api", doors=doors),
            Channel(path=str(tmp_path / "api")) as client,
        ):
            with pytest.raises(GRPCError, match="method not found"):
                await asked(client, X509)
            (listed,) = await ServerReflectionStub(client).ServerReflectionInfo(
                [ServerReflectionRequest(list_services="")]
            )
            names = [one.name for one in listed.list_services_response.service]
            assert names == ["spiffe.broker.API"]

    in_loop(scenario)


def test_only_a_unix_socket_with_a_path_is_served():
    with (
        socket.socket() as tcp,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX) as none,
    ):
        abstract.bind("\0answerable-test-front")
        for listener in (tcp, abstract, none):
            with pytest.raises(Unavailable) as caught:
                check_socket(listener)
            assert caught.value.code == "workload_api.not_unix"


def test_a_tighter_socket_than_said_is_served(tmp_path):
    async def scenario():
        front = WorkloadFront(World())
        listener = bound(tmp_path / "api", mode=0o600)
        await front.start(listener)
        async with Channel(path=str(tmp_path / "api")) as client:
            assert (await asked(client, X509)).svids
        await front.close()
        listener.close()

    in_loop(scenario)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_closed_server_has_no_rpc_left_and_waits_for_nothing_else(tmp_path, loop):
    async def scenario():
        world = World()
        front, listener = WorkloadFront(world), bound(tmp_path / "api")
        await front.start(listener)
        async with Channel(path=str(tmp_path / "api")) as client, opened(client, X509) as stream:
            await stream.send_message(schema().message("X509SVIDRequest")(), end=True)
            assert (await answer_of(stream)).svids
            assert len(world.watching) == 1
            async with asyncio.timeout(GRACE_SECONDS / 2):
                await front.close()
            assert world.watching == []
            with pytest.raises((StreamTerminatedError, GRPCError)):
                await stream.recv_message()
        async with asyncio.timeout(GRACE_SECONDS / 2):
            await front.close()

    in_loop(scenario, loop)
