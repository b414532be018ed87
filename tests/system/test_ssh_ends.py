"""How commands on real OpenSSH hosts end, and where the key of a lease is while they run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest

from answerable.adapters.ssh_certificates import authority_of
from answerable.adapters.ssh_certificates.forced_command import ENDED_STATUS
from answerable.errors import Unavailable
from answerable.targets.kind import BuiltTarget
from tests.probes.waiting import past
from tests.stand_ins.ssh_server import SSHWorld, authority_key, built, program
from tests.worlds.ssh import (
    done,
    everything_told,
    is_running,
    lease,
    sleeper,
    structured,
    until,
)

pytestmark = pytest.mark.anyio
KEY = authority_key()
SHELL = "/bin/sh"
NOT_BEGUN = ENDED_STATUS
"""On a slow machine a lease may be over before its command begins: nothing is proven then."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHWorld]:
    made = SSHWorld(tmp_path_factory.mktemp("ssh"), authority_of(KEY).public_line)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def target(world: SSHWorld) -> BuiltTarget:
    world.forget_revoked()
    return built(world, KEY, revocable=True)


@pytest.mark.requirement("SSH-04")
async def test_cancelling_ends_the_command_on_the_host(target):
    mark = f"mark{os.urandom(8).hex()}"
    command = sleeper(mark)
    credential = await lease(target, command)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(done, target, credential, command)
        await until(lambda: is_running(mark))
        tasks.cancel_scope.cancel()
    await until(lambda: not is_running(mark))


@pytest.mark.requirement("SSH-04")
async def test_a_call_that_takes_too_long_says_that_something_may_have_happened_and_is_ended(target):
    mark = f"mark{os.urandom(8).hex()}"
    command = sleeper(mark)
    with pytest.raises(Unavailable) as late:
        await done(target, await lease(target, command), command, seconds=2.5)
    assert (late.value.code, late.value.effect) == ("target.late", "unknown")
    await until(lambda: not is_running(mark))


@pytest.mark.requirement("SSH-04")
async def test_a_command_ends_with_its_lease_by_the_hosts_clock_even_when_nobody_revokes_it(world):
    target = built(world, KEY, revocable=False)
    mark = f"mark{os.urandom(8).hex()}"
    command = sleeper(mark)
    for ttl in (3, 6, 12, 24):
        performed = await done(target, await lease(target, command, ttl=ttl), command)
        if structured(performed)["exit_status"] != NOT_BEGUN:
            break
    # Ended by SIGTERM: left alone it would end by itself, with 0.
    assert structured(performed)["exit_status"] == 143
    assert not is_running(mark)


@pytest.mark.requirement("SSH-04")
async def test_a_command_that_will_not_end_is_killed(world):
    target = built(world, KEY, revocable=False)
    command = (SHELL, "-c", "trap '' TERM; while :; do sleep 0.1; done")
    performed = await done(target, await lease(target, command, ttl=5), command)
    assert structured(performed)["exit_status"] is None
    assert performed.result["isError"] is True


@pytest.mark.requirement("SSH-04")
async def test_a_session_that_is_opened_after_the_lease_was_revoked_or_ended_runs_nothing(world, target):
    """sshd looks at a certificate when a client signs in: who signed in before can ask for a session afterwards."""
    for target_of, ends in ((target, False), (built(world, KEY, revocable=False), True)):
        command = ("/bin/echo", "ran")
        credential = await lease(target_of, command, ttl=2 if ends else 60)
        control = world.folder / f"control{ends}"
        client = world.client(credential, "-M", "-N", "-S", str(control))
        with subprocess.Popen(client, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as master:  # noqa: ASYNC220
            await until(control.exists)
            if ends:
                await past(credential.expires_at + 500)
            else:
                await target_of.issuer.revoke(credential.lease)
            late = world.client(credential, "-S", str(control), "-o", "ControlMaster=no")
            said = await anyio.run_process(late, check=False, stdin=subprocess.DEVNULL)
            master.kill()
        assert b"ran" not in said.stdout
        assert b"this lease has ended" in said.stderr


@pytest.mark.requirement("SSH-01", "SSH-04")
async def test_a_session_is_cut_while_other_processes_of_the_host_end(world, target):
    """What ends between the listing of processes and their reading is an error to whoever reads."""
    marks = [f"mark{os.urandom(8).hex()}" for _ in range(4)]
    leases = [await lease(target, sleeper(mark)) for mark in marks]
    others = "while :; do for end in 1 2 3 4 5 6 7 8 9; do sleep 0.00$end & sleep 0.01$end & done; wait; done"
    with ExitStack() as running:
        for command in ((SHELL, "-c", others), *map(world.client, leases)):
            process = running.enter_context(
                subprocess.Popen(  # noqa: ASYNC220 - started, not awaited
                    command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
            running.callback(process.kill)
        await until(lambda: all(map(is_running, marks)))
        for credential, mark in zip(leases, marks, strict=True):
            ended = await target.issuer.revoke(credential.lease)
            assert (ended.sessions_cut, is_running(mark)) == (1, False)


@pytest.mark.requirement("SSH-01", "SSH-04")
@pytest.mark.parametrize(
    "kills",
    ["", "$PPID", "$(cut -d ' ' -f 4 /proc/$PPID/stat)", "$(pgrep -s 0 | grep -vx -e $$ -e $kept)"],
    ids=["nobody", "the shell around it", "the server's process", "all who watch it"],
)
async def test_nothing_of_a_session_runs_when_revoking_has_returned(world, target, kills):
    """A command that ignores what ends it, and kills who would see to its end."""
    mark = f"mark{os.urandom(8).hex()}"
    ticks = f"trap '' TERM HUP INT; while :; do : {mark}; sleep 0.05; done"
    ends = f"kill -KILL {kills}" if kills else ":"
    ready = world.folder / mark
    words = f"({ticks}) & kept=$!; {ends}; : >'{ready}'; wait"
    credential = await lease(target, (SHELL, "-c", words))
    with subprocess.Popen(world.client(credential), stdin=subprocess.PIPE) as client:  # noqa: ASYNC220
        await until(ready.exists)
        # As the issuer ends the broker's own clients first: the shell on the host sees that, too.
        client.kill()
        await target.issuer.revoke(credential.lease)
        assert not said(mark)


def said(mark: str) -> list[str]:
    """The processes that have it in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found += [str(path)] if mark.encode() in path.read_bytes() else []
    return found


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A path of a socket has room for about a hundred characters, which those of tests exceed."""
    with TemporaryDirectory(prefix="ssh") as folder:
        yield Path(folder)


@pytest.mark.requirement("SSH-04")
async def test_kill_9_of_the_broker_ends_its_commands_and_leaves_no_secret(world, tmp_path, short_folder):
    mark = f"mark{os.urandom(8).hex()}"
    (tmp_path / "ca").write_bytes(KEY)
    sockets = short_folder
    root = Path(__file__).parent.parent.parent
    environment = {
        **os.environ,
        "PYTHONPATH": f"{root}:{root / 'src'}",
        "AUTHORITY": str(tmp_path / "ca"),
        "FOLDER": str(world.folder),
        "PORTS": " ".join(str(host.port) for host in world.hosts),
        "SOCKETS": str(sockets),
        "MARK": mark,
    }
    started = [sys.executable, "-m", "tests.system.ssh_lease_main"]
    said = tmp_path / "said"
    with said.open("wb") as stderr:
        broker = subprocess.Popen(started, env=environment, cwd=root, stderr=stderr)  # noqa: ASYNC220
    await until(lambda: is_running(mark) or broker.poll() is not None, seconds=30)
    assert is_running(mark), said.read_text()
    broker.send_signal(signal.SIGKILL)
    broker.wait()
    await until(lambda: not is_running(mark))
    left = [path for path in sockets.rglob("*") if path.is_file()]
    assert all(b"PRIVATE KEY" not in path.read_bytes() for path in left)
    assert any(sockets.iterdir())
    built(world, KEY, revocable=True, socket_folder=str(sockets))
    assert not any(sockets.iterdir()), "a start sweeps what a killed process left"


@pytest.mark.requirement("SSH-05")
async def test_no_secret_is_in_a_process_list_an_environment_a_file_or_an_answer(world, target):
    mark = f"mark{os.urandom(8).hex()}"
    command = sleeper(mark)
    credential = await lease(target, command)
    common = (await lease(target, command)).secret.reveal("private_key").splitlines()
    planted = [line for line in credential.secret.reveal("private_key").splitlines() if line not in common]
    assert planted
    seen: list[str] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(done, target, credential, command)
        await until(lambda: is_running(mark))
        seen += everything_told(world.folder)
        tasks.cancel_scope.cancel()
    assert len(seen) > 3
    for line in planted:
        assert not any(line in one for one in seen)


@pytest.mark.requirement("SSH-05")
async def test_the_socket_signs_for_its_own_client_alone(world, target):
    mark = f"mark{os.urandom(8).hex()}"
    command = sleeper(mark)
    credential = await lease(target, command)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(done, target, credential, command)
        await until(lambda: is_running(mark))
        (path,) = world.folder.glob("ans_ssh_*/agent")
        assert path.parent.stat().st_mode & 0o777 == 0o700
        with anyio.fail_after(20):
            listed = await anyio.run_process(
                [program("ssh-add"), "-l"], env={"SSH_AUTH_SOCK": str(path)}, check=False
            )
        tasks.cancel_scope.cancel()
    assert listed.returncode != 0
    assert b"CERT" not in listed.stdout


@pytest.mark.requirement("SSH-06")
async def test_a_connection_that_is_cut_in_the_middle_leaves_the_effect_unknown(world, target):
    mark = f"mark{os.urandom(8).hex()}"
    command = sleeper(mark)
    credential = await lease(target, command)
    caught: list[Unavailable] = []

    async def running() -> None:
        try:
            await done(target, credential, command)
        except Unavailable as lost:
            caught.append(lost)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(running)
        await until(lambda: is_running(mark))
        assert (await target.issuer.revoke(credential.lease)).sessions_cut == 1
        assert not is_running(mark)
    assert [(lost.code, lost.effect) for lost in caught] == [("target.lost", "unknown")]
