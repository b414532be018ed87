"""Attacks on who is asking at the Workload API: no process gets what another is entitled to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from grpclib.client import Channel
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from answerable.apps.workload_api import Doors, WorkloadFront, serve
from answerable.apps.workload_api.messages import schema
from answerable.apps.workload_api.peer import SO_PEERPIDFD
from answerable.errors import Unavailable
from tests.probes.loud_skips import not_proven
from tests.worlds.workload_api import (
    BROKER_HEADER,
    HEADER,
    LOOPS,
    World,
    answer_of,
    asked,
    bound,
    in_loop,
    named,
    opened,
    serving,
    until,
)

ALL = Doors(wit=True, broker=True)
X509 = "/SpiffeWorkloadAPI/FetchX509SVID"
REUSE_TRIES_MAX = 300

# Connects, passes the connection on through its standard input, and lives until told otherwise.
CONNECTS_AND_PASSES = """
import socket, sys
api = socket.socket(socket.AF_UNIX)
api.connect(sys.argv[1])
channel = socket.socket(fileno=0)
socket.send_fds(channel, [b"!"], [api.fileno()])
if sys.argv[2] == "stays":
    channel.recv(1)
"""


class Given(Channel):
    """A client on a connection that somebody else made."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__(path="given")
        self._given = connected

    async def _create_connection(self):
        _, protocol = await asyncio.get_running_loop().create_unix_connection(
            self._protocol_factory, sock=self._given
        )
        return protocol


def connector(path: Path, *, stays: bool) -> tuple[subprocess.Popen[bytes], socket.socket, socket.socket]:
    """The process that connected, the connection that it passed on, and what ends it when closed."""
    ours, theirs = socket.socketpair()
    with theirs:
        told = "stays" if stays else "goes"
        process = subprocess.Popen(
            [sys.executable, "-c", CONNECTS_AND_PASSES, str(path), told], stdin=theirs.fileno()
        )
    _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    connected = socket.socket(fileno=fds[0])
    connected.setblocking(False)
    return process, connected, ours


async def status_of(call) -> Status:
    with pytest.raises(GRPCError) as caught:
        await call
    return caught.value.status


@pytest.mark.requirement("WAPI-06")
@pytest.mark.parametrize(
    "said",
    [{}, {"workload.spiffe.io": "TRUE"}, {"workload.spiffe.io": "true, false"}, {"broker.spiffe.io": "yes"}],
)
def test_without_the_security_header_no_method_looks_at_the_caller(tmp_path, said):
    async def scenario():
        world = World(brokers=lambda *_: True)
        async with serving(world, tmp_path / "api", doors=ALL), Channel(path=str(tmp_path / "api")) as client:
            for path in schema().methods:
                assert await status_of(asked(client, path, metadata=said)) is Status.INVALID_ARGUMENT, path
            # The header of one API does not open the other.
            for path in schema().methods:
                wrong = HEADER if "broker" in path else BROKER_HEADER
                assert await status_of(asked(client, path, metadata=wrong)) is Status.INVALID_ARGUMENT, path
        assert not world.asked

    in_loop(scenario)


@pytest.mark.requirement("WAPI-07")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_claimed_pid_changes_nothing(tmp_path, loop):
    async def scenario():
        world = World(who=lambda peer: (named("/agent/victim/1"),) if peer.pid == 1 else ())
        claims = {
            "pid": "1",
            "x-peer-pid": "1",
            "uid": "0",
            "authority": "spiffe://ours.example/agent/victim/1",
        }
        async with serving(world, tmp_path / "api", doors=ALL), Channel(path=str(tmp_path / "api")) as client:
            denied = asked(client, X509, metadata=HEADER | claims)
            assert await status_of(denied) is Status.PERMISSION_DENIED
            wanted = schema().message("JWTSVIDRequest")(
                audience=["x"], spiffe_id="spiffe://ours.example/agent/victim/1"
            )
            path = "/SpiffeWorkloadAPI/FetchJWTSVID"
            assert await status_of(asked(client, path, wanted)) is Status.PERMISSION_DENIED
        assert {(peer.pid, peer.uid, peer.gid) for peer in world.asked} == {
            (os.getpid(), os.geteuid(), os.getegid())
        }

    in_loop(scenario, loop)


@pytest.mark.requirement("WAPI-08")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_passed_on_is_hung_up_on_when_another_speaks(tmp_path, loop):
    async def scenario():
        world = World()
        async with serving(world, tmp_path / "api") as front:
            _, connected, leash = await asyncio.to_thread(connector, tmp_path / "api", stays=True)
            async with Given(connected) as client, opened(client, X509) as stream:
                await stream.send_message(schema().message("X509SVIDRequest")(), end=True)
                with pytest.raises((StreamTerminatedError, GRPCError)):
                    await stream.recv_message()
            await until(lambda: front.places.taken == 0)
            assert world.asked == []
            leash.close()

    in_loop(scenario, loop)


@pytest.mark.requirement("WAPI-08")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_that_is_kept_by_another_dies_with_its_maker(tmp_path, loop):
    async def scenario():
        world = World()
        async with serving(world, tmp_path / "api") as front:
            process, connected, leash = await asyncio.to_thread(connector, tmp_path / "api", stays=True)
            await until(lambda: front.places.taken == 1)
            leash.close()
            await asyncio.to_thread(process.wait)
            # Nobody tells the door of a change: the kernel tells it of the end.
            await until(lambda: front.places.taken == 0)
            connected.close()

    in_loop(scenario, loop)


@pytest.mark.requirement("WAPI-08")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_whose_maker_was_gone_before_we_looked_gets_nothing(tmp_path, loop):
    async def scenario():
        listener = bound(tmp_path / "api")
        listener.listen()
        process, connected, leash = connector(tmp_path / "api", stays=False)
        leash.close()
        process.wait()
        await refused(World(), listener, connected)

    in_loop(scenario, loop)


@pytest.mark.requirement("WAPI-08")
def test_a_process_that_is_given_the_pid_of_the_maker_gets_nothing(tmp_path):
    """The maker connects, leaves the connection to another, and ends before we look; then its pid is given again."""
    require_peer_pidfd()
    listener = bound(tmp_path / "api")
    listener.listen()
    process, connected, leash = connector(tmp_path / "api", stays=False)
    leash.close()
    process.wait()
    # Beside others that start processes the pid is found after many tries, which no limit of ours is for.
    with process_with_pid(process.pid):
        # Whoever asks /proc alone now takes the heir, which runs under the same user, for the maker.
        assert os.getpgid(process.pid) == os.getpgid(0)
        in_loop(lambda: refused(World(), listener, connected))


async def refused(world: World, listener: socket.socket, connected: socket.socket) -> None:
    """The door opens only now, and hangs up on this connection without a word."""
    front = WorkloadFront(world)
    await front.start(listener)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionResetError):
            assert await loop.sock_recv(connected, 1) == b""
    assert not world.asked
    await front.close()
    listener.close()
    connected.close()


def require_peer_pidfd() -> None:
    one, other = socket.socketpair()
    with one, other:
        try:
            os.close(one.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD))
        except OSError:
            told = (
                "this kernel has no SO_PEERPIDFD (Linux 6.5): pid reuse before accepting is NOT PROVEN here"
            )
            not_proven(told)


@contextlib.contextmanager
def process_with_pid(pid: int) -> Iterator[None]:
    """Forks until a child has this pid; skips loudly where the next pid cannot be chosen."""
    last = Path("/proc/sys/kernel/ns_last_pid")
    for _ in range(REUSE_TRIES_MAX):
        try:
            last.write_text(str(pid - 1))
        except OSError:
            break
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        try:
            if child == pid:
                yield
                return
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    told = "the next pid cannot be chosen here (needs root and ns_last_pid): pid reuse NOT PROVEN"
    not_proven(told)


@pytest.mark.requirement("WAPI-08")
def test_a_process_whose_start_time_has_changed_gets_nothing(tmp_path):
    """As a view of /proc would look in which the pid has come to mean another process."""

    async def scenario():
        view = tmp_path / "proc"
        mine = view / str(os.getpid())
        mine.mkdir(parents=True)
        for name in ("stat", "status"):
            shutil.copyfile(f"/proc/{os.getpid()}/{name}", mine / name)
        world = World()
        async with (
            serving(world, tmp_path / "api", proc=view),
            Channel(path=str(tmp_path / "api")) as client,
            opened(client, X509) as stream,
        ):
            await stream.send_message(schema().message("X509SVIDRequest")(), end=True)
            assert (await answer_of(stream)).svids
            command, _, rest = (mine / "stat").read_text().rpartition(")")
            fields = rest.split()
            fields[19] = str(int(fields[19]) + 1)
            (mine / "stat").write_text(f"{command}) {' '.join(fields)}")
            assert await status_of(asked(client, X509)) is Status.PERMISSION_DENIED
            world.tell()
            assert await stream.recv_message() is None
            assert await status_of(stream.recv_trailing_metadata()) is Status.PERMISSION_DENIED

    in_loop(scenario)


@pytest.mark.requirement("WAPI-08")
def test_a_process_that_changes_while_it_is_looked_at_gets_nothing(tmp_path):
    async def scenario():
        view = tmp_path / "proc"
        mine = view / str(os.getpid())
        mine.mkdir(parents=True)
        for name in ("stat", "status"):
            shutil.copyfile(f"/proc/{os.getpid()}/{name}", mine / name)

        def vanishing(_):
            (mine / "stat").unlink()
            return (named("/agent/other/1"),)

        async with (
            serving(World(who=vanishing), tmp_path / "api", proc=view),
            Channel(path=str(tmp_path / "api")) as client,
        ):
            assert await status_of(asked(client, X509)) is Status.PERMISSION_DENIED

    in_loop(scenario)


def open_folder(path: Path) -> None:
    path.parent.chmod(0o777)


def sticky_folder(path: Path) -> None:
    path.parent.chmod(0o1777)


def group_folder(path: Path) -> None:
    path.parent.chmod(0o775)


def open_way(path: Path) -> None:
    path.parent.parent.chmod(0o777)


def others_folder(path: Path) -> None:
    os.chown(path.parent, 12345, -1)


def others_socket(path: Path) -> None:
    os.chown(path, 12345, -1)


def freer_socket(path: Path) -> None:
    path.chmod(0o777)


def replaced_socket(path: Path) -> None:
    path.unlink()
    path.touch()


def missing_socket(path: Path) -> None:
    path.unlink()


MISTAKES = (
    open_folder,
    sticky_folder,
    group_folder,
    open_way,
    others_folder,
    others_socket,
    freer_socket,
    replaced_socket,
    missing_socket,
)


@pytest.mark.requirement("WAPI-09")
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_a_socket_that_others_could_replace_is_not_served(tmp_path, mistake):
    if mistake in (others_folder, others_socket) and os.geteuid() != 0:
        not_proven("A SOCKET OF OTHERS NOT PROVEN here: only root can give files away", name="root")
    path = tmp_path / "way" / "folder" / "api"
    path.parent.mkdir(parents=True)

    async def scenario():
        listener = bound(path)
        mistake(path)
        with pytest.raises(Unavailable) as caught:
            await serve(World(), listener, stop=asyncio.Event())
        assert caught.value.code == "workload_api.socket_permissions"

    in_loop(scenario)


@pytest.mark.requirement("WAPI-09")
def test_a_link_to_a_safe_folder_in_an_unsafe_one_is_not_followed(tmp_path):
    (tmp_path / "safe").mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "link").symlink_to(tmp_path / "safe")
    (tmp_path / "open").chmod(0o777)

    async def scenario():
        with pytest.raises(Unavailable, match="may be written to by others"):
            async with serving(World(), tmp_path / "open" / "link" / "api"):
                pass

    in_loop(scenario)
