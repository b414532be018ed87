"""Processes that end, or become others, at each moment of a call to the Broker API."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from answerable.apps.workload_api import ConnectionLimits, PeerProcess
from tests.attack.test_workload_api_broker import (
    METHODS,
    ask,
    broker_of,
    child,
    end_unnoticed,
    refusal,
    request,
)
from tests.worlds.workload_api import BROKER_HEADER, World, answer_of, in_loop, opened

pytestmark = pytest.mark.requirement("BOUNDARY-04")

NO_BROKER = (Status.PERMISSION_DENIED, "no identity issued: workload_api.no_broker")
NOT_FOUND = (Status.NOT_FOUND, "there is no such workload")
DOCUMENTS = [path for path in METHODS if "SVID" in path]


class Issuing(World):
    """Does something before a document is issued."""

    meanwhile: Callable[[], Any] = staticmethod(lambda: None)

    async def x509_svid(self, *given: Any, **named: Any) -> Any:
        self.meanwhile()
        return await super().x509_svid(*given, **named)

    async def jwt_svid(self, *given: Any, **named: Any) -> Any:
        self.meanwhile()
        return await super().jwt_svid(*given, **named)


@contextlib.contextmanager
def view(place: Path, *pids: int) -> Iterator[Callable[[], None]]:
    """A /proc in which the broker, this process, becomes another one when told to."""
    mine = place / "proc" / str(os.getpid())
    mine.mkdir(parents=True)
    for name in ("stat", "status"):
        shutil.copyfile(f"/proc/{os.getpid()}/{name}", mine / name)
    for pid in pids:
        (place / "proc" / str(pid)).symlink_to(f"/proc/{pid}")

    def change() -> None:
        command, _, rest = (mine / "stat").read_text().rpartition(")")
        fields = rest.split()
        fields[19] = "1"
        (mine / "stat").write_text(f"{command}) {' '.join(fields)}")

    yield change


@pytest.mark.parametrize("path", METHODS)
@pytest.mark.parametrize("when", ["whether it may broker", "who its workload is"])
def test_a_broker_that_is_another_once_it_was_asked_about_gets_nothing(tmp_path, when, path):
    async def scenario() -> None:
        with child() as workload, view(tmp_path, workload.pid) as change:

            def brokers(_: PeerProcess, about: PeerProcess | None) -> bool:
                if (about is None) == (when == "whether it may broker"):
                    change()
                return True

            world = World(brokers=brokers)
            async with broker_of(world, tmp_path, proc=tmp_path / "proc") as client:
                assert await refusal(ask(client, path, request(path, pid=workload.pid))) == NO_BROKER
            assert world.issued == []
            assert len(world.asked) == (when == "who its workload is")

    in_loop(scenario)


@pytest.mark.parametrize("path", METHODS)
def test_a_workload_that_ends_while_it_is_asked_about_is_nobody(tmp_path, path):
    async def scenario() -> None:
        with child() as workload:

            def brokers(_: PeerProcess, about: PeerProcess | None) -> bool:
                if about is not None:
                    end_unnoticed(workload)
                return True

            world = World(brokers=brokers)
            async with broker_of(world, tmp_path) as client:
                status, _ = await refusal(ask(client, path, request(path, pid=workload.pid)))
            assert status is Status.PERMISSION_DENIED
            assert world.issued == []

    in_loop(scenario)


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_workload_that_ends_while_its_document_is_made_gets_none(tmp_path, path):
    async def scenario() -> None:
        world = Issuing(brokers=lambda *_: True)
        with child() as workload:
            world.meanwhile = lambda: end_unnoticed(workload)
            async with broker_of(world, tmp_path) as client:
                assert await refusal(ask(client, path, request(path, pid=workload.pid))) == NOT_FOUND

    in_loop(scenario)


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_broker_that_is_another_once_a_document_is_made_gets_none(tmp_path, path):
    async def scenario() -> None:
        world = Issuing(brokers=lambda *_: True)
        with child() as workload, view(tmp_path, workload.pid) as change:
            world.meanwhile = change
            async with broker_of(world, tmp_path, proc=tmp_path / "proc") as client:
                status, _ = await refusal(ask(client, path, request(path, pid=workload.pid)))
                assert status is Status.PERMISSION_DENIED

    in_loop(scenario)


@pytest.mark.parametrize("path", [path for path in METHODS if "Subscribe" in path])
def test_of_a_workload_that_has_ended_nothing_more_is_asked(tmp_path, path):
    async def scenario() -> None:
        world = World(brokers=lambda *_: True)
        with child() as workload:
            limits = ConnectionLimits(recheck_seconds=600)
            async with broker_of(world, tmp_path, limits=limits) as client:
                async with opened(client, path, BROKER_HEADER) as stream:
                    await stream.send_message(request(path, pid=workload.pid), end=True)
                    await answer_of(stream)
                    known = len(world.asked)
                    end_unnoticed(workload)
                    assert await stream.recv_message() is None
                    with pytest.raises(GRPCError) as caught:
                        await stream.recv_trailing_metadata()
                assert (caught.value.status, caught.value.message) == NOT_FOUND
                assert len(world.asked) == known

    in_loop(scenario)
