"""A connection to the Workload API that its maker leaves to others: whoever is measured must be who speaks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import h2.events
import pytest

from answerable.adapters.linux_process import LinuxProcessObserver
from answerable.apps.workload_api import ConnectionLimits, PeerProcess, WorkloadFront
from answerable.apps.workload_api.product_needs import WorkloadNeeds
from answerable.core.ledger.tags import Tag
from answerable.core.registry.snapshot.discovered_asset import DiscoveredAssets
from answerable.flows.trust_domain.tell_watchers import Watchers
from tests.probes.loud_skips import not_proven
from tests.probes.raw_workload_client import RawClient, asks
from tests.worlds.enrolment import attested_documents, enrolling
from tests.worlds.workload_api import LOOPS, World, bound, in_loop, named, serving, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word is Linux's")

X509 = "/SpiffeWorkloadAPI/FetchX509SVID"
NOBODY = 65_534
LIVES_SECONDS_MAX = 30
"""Of a process, where a test fails: what waits for its words hears that there are none."""
QUICK = ConnectionLimits(receive_seconds=1.0, idle_seconds=1.0)


def require_root() -> None:
    if os.geteuid() != 0:
        not_proven("only root becomes other users: attacks of another user are NOT PROVEN here", name="root")


@contextlib.contextmanager
def open_place() -> Iterator[Path]:
    """A folder that every user reaches, with a program in it that does nothing for a while."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        program = Path(name) / "agent"
        shutil.copy(os.path.realpath(shutil.which("sleep") or "/bin/sleep"), program)
        program.chmod(0o755)
        yield Path(name)


@contextlib.contextmanager
def forked(run: Callable[[], None]) -> Iterator[int]:
    """A process that does this as `nobody`; it and what it started are gone afterwards."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setsid()
            signal.alarm(LIVES_SECONDS_MAX)
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            run()
            code = 0
        finally:
            os._exit(code)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def wire() -> bytes:
    """All that a client sends for an X.509-SVID, if it sends on without listening."""
    client = RawClient(cast("Any", None))
    client.request(X509, b"")
    return client.h2.data_to_send()


def known_by_path(program: Path) -> Callable[[PeerProcess], Any]:
    """As a product would know an agent whose set of selectors names a program and nothing else."""
    observer = LinuxProcessObserver()

    def who(peer: PeerProcess) -> Any:
        facts = observer.observe(peer.pid, started=peer.started, pidfd=peer.pidfd)
        return (named("/agent/helper/1"),) if facts.path == str(program) else ()

    return who


def _program(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def left_to_a_child(place: Path, how: str, said: bytes, heard: int) -> None:
    """Connects, and becomes the agent's program, while a child has the connection."""
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(str(place / "api"))
    if how == "the maker asks":
        connected.sendall(said)
    if os.fork() == 0:
        signal.alarm(LIVES_SECONDS_MAX)
        while _program(os.getppid()) != str(place / "agent"):
            os.sched_yield()
        os.write(heard, b"ready")
        if how != "the maker asks":
            connected.sendall(said)
        with contextlib.suppress(ConnectionError):
            while got := connected.recv(65_536):
                os.write(heard, got)
        os._exit(0)
    os.set_inheritable(connected.fileno(), how == "both hold it")
    os.execv(place / "agent", ["agent", "60"])  # noqa: S606


@pytest.mark.requirement("BOUNDARY-01")
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", ["a child asks", "the maker asks", "both hold it"])
@pytest.mark.parametrize("opens", ["before", "after"])
def test_another_user_who_becomes_the_agents_program_gets_nothing_for_a_child(how, opens, loop):
    require_root()

    async def scenario(place: Path) -> None:
        world = World(who=known_by_path(place / "agent"))
        ours, theirs = os.pipe()
        listener = bound(place / "api")
        listener.listen()
        front = WorkloadFront(world, limits=QUICK)
        if opens == "before":
            await front.start(listener)
        said = wire()
        with forked(lambda: left_to_a_child(place, how, said, theirs)):
            os.close(theirs)
            assert await asyncio.to_thread(os.read, ours, 5) == b"ready"
            if opens == "after":
                await front.start(listener)
            got = b""
            while b"spiffe://" not in got and (piece := await asyncio.to_thread(os.read, ours, 65_536)):
                got += piece
        os.close(ours)
        await front.close()
        assert b"spiffe://" not in got
        assert world.issued == []

    with open_place() as place:
        in_loop(lambda: scenario(place), loop)


@pytest.mark.requirement("BOUNDARY-01")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_process_that_connects_and_asks_itself_is_answered_under_any_user(loop):
    require_root()

    async def scenario(place: Path) -> None:
        world = World()
        ours, theirs = os.pipe()

        def run() -> None:
            connected = socket.socket(socket.AF_UNIX)
            connected.connect(str(place / "api"))
            asks(connected, X509, theirs)

        async with serving(world, place / "api", limits=QUICK):
            with forked(run) as pid:
                os.close(theirs)
                got = await asyncio.to_thread(os.read, ours, 65_536)
        os.close(ours)
        assert f"spiffe://ours.example/agent/tester/{pid}".encode() in got
        assert [peer.uid for peer in world.asked] == [NOBODY]

    with open_place() as place:
        in_loop(lambda: scenario(place), loop)


@pytest.mark.requirement("BOUNDARY-02")
def test_a_program_that_took_the_connection_over_with_its_process_gets_nothing(tmp_path):
    """The same process, another program: whatever is at work now is not what connected."""
    copy = tmp_path / "other-python"
    shutil.copy(os.path.realpath(sys.executable), copy)
    script = tmp_path / "asks.py"
    script.write_text(
        "import socket, sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from tests.probes.raw_workload_client import asks\n"
        f"asks(socket.socket(fileno=int(sys.argv[1])), {X509!r}, 1)\n"
    )

    async def scenario(program: str) -> bytes:
        world = World()
        ours, theirs = os.pipe()
        async with serving(world, tmp_path / "api", limits=QUICK):
            pid = os.fork()
            if pid == 0:
                signal.alarm(LIVES_SECONDS_MAX)
                connected = socket.socket(socket.AF_UNIX)
                connected.connect(str(tmp_path / "api"))
                # Met as what connected: the door has sent its settings.
                assert connected.recv(9, socket.MSG_PEEK)
                os.dup2(theirs, 1)
                os.set_inheritable(connected.fileno(), True)
                environment = {**os.environ, "PYTHONHOME": sys.base_prefix}
                os.execve(program, [program, str(script), str(connected.fileno())], environment)  # noqa: S606
            os.close(theirs)
            got = await asyncio.to_thread(os.read, ours, 65_536)
            await asyncio.to_thread(os.waitpid, pid, 0)
        os.close(ours)
        (tmp_path / "api").unlink()
        return got

    def run(program: str) -> bytes:
        found: list[bytes] = []

        async def once() -> None:
            found.append(await scenario(program))

        in_loop(once)
        return found[0]

    assert b"spiffe://" in run(os.path.realpath(sys.executable)), "the same program, started anew"
    assert b"spiffe://" not in run(str(copy))


@pytest.mark.requirement("BOUNDARY-02")
@pytest.mark.parametrize("then", ["another user", "another group"])
@pytest.mark.anyio
async def test_who_became_somebody_else_since_connecting_is_nobody(then):
    """As by a program with the setuid or the setgid bit, which any user may start."""
    require_root()
    known = [f"unix:uid:{NOBODY}"] if then == "another user" else ["unix:uid:0", f"unix:gid:{NOBODY}"]
    bench, workloads = await enrolling(attested_documents({"scout": [known]}))
    workloads.observer = LinuxProcessObserver()
    parts = SimpleNamespace(desk=workloads.trust, seen=DiscoveredAssets(), changes=Watchers())
    needs = WorkloadNeeds(cast("Any", parts), workloads)
    ours, theirs = os.pipe()
    with open_place() as place:
        async with serving(cast("Any", needs), place / "api", limits=QUICK):
            pid = os.fork()
            if pid == 0:
                signal.alarm(LIVES_SECONDS_MAX)
                connected = socket.socket(socket.AF_UNIX)
                connected.connect(str(place / "api"))
                os.setgroups([])
                os.setegid(NOBODY)
                if then == "another user":
                    os.seteuid(NOBODY)
                asks(connected, X509, theirs)
                os._exit(0)
            os.close(theirs)
            got = await asyncio.to_thread(os.read, ours, 65_536)
            await asyncio.to_thread(os.waitpid, pid, 0)
    os.close(ours)
    assert b"process.changed" in got
    assert bench.entries(Tag.WORKLOAD_ENROLLED) == []


@pytest.mark.requirement("BOUNDARY-01")
@pytest.mark.parametrize("loop", LOOPS)
def test_who_never_answers_a_question_is_hung_up_on(tmp_path, loop):
    async def scenario() -> None:
        world = World()
        async with serving(world, tmp_path / "api", limits=QUICK) as front:
            client = await RawClient.at(tmp_path / "api")
            client.request(X509, b"")
            await client.flush()
            while True:
                try:
                    # It acknowledges nothing of what it reads.
                    await client.read()
                except ConnectionError:
                    break
            await until(lambda: front.places.taken == 0)
            client.close()
        assert world.issued == []
        assert world.asked == []

    in_loop(scenario, loop)


@pytest.mark.requirement("BOUNDARY-01")
def test_a_question_that_was_answered_before_it_was_put_is_not_answered(tmp_path):
    """Who knows that it will be asked cannot answer in advance, nor with another's question."""

    async def scenario() -> None:
        world = World()
        async with serving(world, tmp_path / "api", limits=QUICK):
            client = await RawClient.at(tmp_path / "api")
            client.request(X509, b"")
            await client.flush()
            for guess in (bytes(8), b"\xff" * 8, os.urandom(8)):
                await client.write(b"\0\0\x08\x06\x01\0\0\0\0" + guess)
            with contextlib.suppress(ConnectionError):
                while True:
                    await client.read()
            client.close()
        assert world.issued == []

    in_loop(scenario)


def ends_of(pipe: int) -> set[int]:
    """Every descriptor of this process that is of the same pipe."""
    found = set()
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):
            if os.fstat(number).st_ino == os.fstat(pipe).st_ino:
                found.add(number)
    return found


@pytest.mark.requirement("BOUNDARY-01")
@pytest.mark.parametrize("loop", LOOPS)
def test_descriptors_that_are_sent_along_are_not_taken(tmp_path, loop):
    async def scenario() -> None:
        async with serving(World(), tmp_path / "api", limits=QUICK):
            connected = socket.socket(socket.AF_UNIX)
            connected.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connected, str(tmp_path / "api"))
            client = RawClient(connected)
            await client.read_until(h2.events.RemoteSettingsChanged)
            sent, kept = os.pipe()
            client.request(X509, b"")
            socket.send_fds(connected, [client.h2.data_to_send()], [sent] * 16)
            await client.read_until(h2.events.DataReceived)
            assert ends_of(sent) == {sent, kept}
            for descriptor in (sent, kept, connected.detach()):
                os.close(descriptor)

    in_loop(scenario, loop)
