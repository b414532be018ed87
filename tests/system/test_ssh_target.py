"""Commands on real OpenSSH hosts, as the broker runs them for agents."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from answerable.adapters.ssh_certificates import authority_of
from answerable.adapters.system import SystemClock
from answerable.core.canonical import JSONValue, freeze
from answerable.core.identity.principal import UnixMillis
from answerable.core.lease.credential import Credential, LeaseOrder, Performed
from answerable.core.lease.name import account_of, lease_name
from answerable.errors import Refused, Unavailable
from answerable.wiring.target_kinds import BuiltTarget
from tests.ssh_server import LOGIN, SSHWorld, authority_key, built, program

pytestmark = pytest.mark.anyio
KEY = authority_key()
SHELL = "/bin/sh"


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


class ShiftedClock(SystemClock):
    """A broker's clock that is not the host's."""

    def __init__(self, seconds: int) -> None:
        self._milliseconds = seconds * 1000

    def now(self) -> UnixMillis:
        return UnixMillis(super().now() + self._milliseconds)


async def lease(
    target: BuiltTarget, command: tuple[str, ...], *, host: str = "web1", ttl: float = 60, ahead: float = 0
) -> Credential:
    grant: JSONValue = {"host": host, "login": LOGIN, "command": list(command)}
    ends = UnixMillis(int((time.time() + ahead + ttl) * 1000))
    order = LeaseOrder(name=lease_name(os.urandom(16)), scope=freeze(grant), expires_at=ends)
    return await target.issuer.issue(order)


async def done(
    target: BuiltTarget,
    credential: Credential,
    command: tuple[str, ...],
    *,
    host: str = "web1",
    seconds: float = 20,
) -> Performed:
    async with target.target.connected(credential) as session:
        arguments: Mapping[str, JSONValue] = {"host": host, "command": list(command)}
        return await session.perform("run", arguments, tag="", seconds_max=seconds)


def structured(performed: Performed) -> Mapping[str, object]:
    found = performed.result["structuredContent"]
    assert isinstance(found, dict)
    return found


async def until(holds: Callable[[], bool], *, seconds: float = 10) -> None:
    with anyio.fail_after(seconds):
        while not holds():  # noqa: ASYNC110 - of other processes
            await anyio.sleep(0.02)


def is_running(mark: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if mark.encode() in words and words[0] == sys.executable.encode():
            return True
    return False


def sleeper(mark: str) -> tuple[str, ...]:
    """A command that runs for long, ignores hang-ups and would go on without its client."""
    code = "import signal, time; signal.signal(signal.SIGHUP, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    return (sys.executable, "-c", code, mark)


@pytest.mark.requirement("SSH-02")
async def test_output_error_output_and_exit_status_come_apart_and_a_failure_is_a_result(target):
    command = (SHELL, "-c", "echo out; echo err >&2; exit 7")
    performed = await done(target, await lease(target, command), command)
    assert structured(performed) == {
        "exit_status": 7,
        "stdout": "out\n",
        "stderr": "err\n",
        "stdout_cut": False,
        "stderr_cut": False,
    }
    assert performed.result["isError"] is True


@pytest.mark.requirement("SSH-02")
@pytest.mark.parametrize("status", [0, 126, 255])
async def test_an_exit_status_is_the_commands_own_even_where_the_client_has_a_meaning_for_it(target, status):
    command = (SHELL, "-c", f"exit {status}")
    performed = await done(target, await lease(target, command), command)
    assert structured(performed)["exit_status"] == status


@pytest.mark.requirement("SSH-02")
async def test_output_without_end_is_cut_visibly_and_costs_no_memory(world):
    target = built(world, KEY, revocable=True, output_bytes_max=1024)
    command = (SHELL, "-c", "head -c 3000000 /dev/zero | tr '\\0' x; head -c 2000 /dev/zero | tr '\\0' y >&2")
    performed = await done(target, await lease(target, command), command)
    assert structured(performed)["stdout"] == "x" * 1024
    assert structured(performed)["stdout_cut"] is True
    assert structured(performed)["stderr_cut"] is True
    content = performed.result["content"]
    assert isinstance(content, list)
    assert "3000000 bytes, cut after 1024" in content[0]["text"]


@pytest.mark.requirement("SSH-02")
async def test_the_hosts_log_line_leads_to_the_lease_and_to_the_session_that_was_recorded(world, target):
    command = (SHELL, "-c", "exit 0")
    credential = await lease(target, command)
    session = dict((await done(target, credential, command)).session)
    accepted = re.compile(
        rf"Accepted publickey for {LOGIN} from 127.0.0.1 port (\d+) ssh2: ED25519-CERT SHA256:\S+ "
        rf"ID {account_of(credential.lease)} \(serial (\d+)\) CA ED25519 (\S+)"
    )
    found = accepted.search(world.hosts[0].log.read_text())
    assert found is not None
    told = (session["ssh_client_port"], session["ssh_serial"], session["ssh_ca"])
    assert told == (found[1], found[2], found[3])
    assert session["ssh_key_id"] == account_of(credential.lease)


HOSTILE = (
    "; touch {}",
    "$(touch {})",
    "`touch {}`",
    "' ; touch {} ; '",
    "\\'; touch {} #",
    '"; touch {}; "',
    "--option",
    "",
    "a\\",
    "*?[!]",
    "~root",
    "ünï→code",
    "%n%s{{}}",
    "!!",
)


@pytest.mark.requirement("SSH-03")
async def test_whatever_an_argument_holds_it_arrives_as_itself(world, target):
    mark = world.folder / "pwned"
    values = tuple(one.format(mark) for one in HOSTILE)
    command = (sys.executable, "-c", "import sys, json; print(json.dumps(sys.argv[1:]))", *values)
    performed = await done(target, await lease(target, command), command)
    assert json.loads(str(structured(performed)["stdout"])) == list(values)
    assert not mark.exists()


@pytest.mark.requirement("SSH-03")
@pytest.mark.parametrize("odd", ["a\nb", "a\0b", "a\rb", "\x1b[31m", "\u2028"])
async def test_control_characters_are_refused_by_lease_and_call(target, odd):
    with pytest.raises(Refused) as refused:
        await lease(target, ("/bin/echo", odd))
    assert refused.value.code == "lease.scope"
    command = ("/bin/echo", "x")
    with pytest.raises(Refused) as refused:
        await done(target, await lease(target, command), ("/bin/echo", odd))
    assert refused.value.code == "target.arguments"


@pytest.mark.requirement("SSH-03")
async def test_a_call_for_anything_but_what_the_lease_says_is_refused_before_anything_is_sent(world, target):
    command = ("/bin/echo", "x")
    credential = await lease(target, command)
    before = world.hosts[0].log.read_text()
    for asked, host in ((("/bin/echo", "y"), "web1"), (command, "web2"), (("/bin/echo", "x", ""), "web1")):
        with pytest.raises(Refused) as refused:
            await done(target, credential, asked, host=host)
        assert refused.value.code == "target.arguments"
    assert world.hosts[0].log.read_text() == before


@pytest.mark.requirement("SSH-03")
async def test_a_named_command_takes_each_place_as_one_argument(world):
    target = built(world, KEY, revocable=True, commands=("show=/bin/echo -n [{what}] {more}",))
    credential = await lease(target, ("/bin/echo", "-n", "[a b]", "; id"))
    async with target.target.connected(credential) as session:
        arguments: Mapping[str, JSONValue] = {"host": "web1", "what": "a b", "more": "; id"}
        performed = await session.perform("show", arguments, tag="", seconds_max=20)
    assert structured(performed)["stdout"] == "[a b] ; id"
    tools = {str(tool["name"]): tool for tool in target.target.tools()}
    assert list(tools) == ["run", "show"]
    for tool in tools.values():
        schema = tool["inputSchema"]
        assert isinstance(schema, dict)
        assert schema["additionalProperties"] is False
        hints = tool["annotations"]
        assert isinstance(hints, dict)
        assert len([name for name in hints if name.endswith("Hint")]) == 4


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
    started = time.monotonic()
    performed = await done(target, await lease(target, command, ttl=3), command)
    assert time.monotonic() - started < 10
    assert structured(performed)["exit_status"] == 143
    assert not is_running(mark)


@pytest.mark.requirement("SSH-04")
async def test_a_command_that_will_not_end_is_killed(world):
    target = built(world, KEY, revocable=False)
    command = (SHELL, "-c", "trap '' TERM; while :; do sleep 0.1; done")
    performed = await done(target, await lease(target, command, ttl=2), command)
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
                await anyio.sleep(2.5)
            else:
                await target_of.issuer.revoke(credential.lease)
            late = world.client(credential, "-S", str(control), "-o", "ControlMaster=no")
            said = await anyio.run_process(late, check=False, stdin=subprocess.DEVNULL)
            master.kill()
        assert b"ran" not in said.stdout
        assert b"this lease has ended" in said.stderr


@pytest.mark.requirement("SSH-04")
async def test_kill_9_of_the_broker_ends_its_commands_and_leaves_no_secret(world, tmp_path):
    mark = f"mark{os.urandom(8).hex()}"
    (tmp_path / "ca").write_bytes(KEY)
    sockets = tmp_path / "sockets"
    sockets.mkdir()
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
    broker = subprocess.Popen(started, env=environment, cwd=root)  # noqa: ASYNC220
    await until(lambda: is_running(mark), seconds=30)
    broker.send_signal(signal.SIGKILL)
    broker.wait()
    await until(lambda: not is_running(mark))
    left = [path for path in sockets.rglob("*") if path.is_file()]
    assert all(b"PRIVATE KEY" not in path.read_bytes() for path in left)
    assert any(sockets.iterdir())
    built(world, KEY, revocable=True, socket_folder=str(sockets))
    assert not any(sockets.iterdir()), "a start sweeps what a killed process left"


def everything_told(folder: Path) -> list[str]:
    """Arguments and environments of all processes but this one, and every file of the test."""
    told = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        for name in ("cmdline", "environ") if int(pid) != os.getpid() else ():
            with suppress(OSError):
                told.append(Path("/proc", pid, name).read_bytes().decode(errors="replace"))
    return told + [path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()]


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
async def test_a_host_whose_key_is_not_pinned_is_sent_nothing(world, target):
    pinned = world.known_hosts.read_text()
    other = pinned.splitlines()[1].replace("web2", "web1")
    world.known_hosts.write_text(other + "\n")
    before = world.hosts[0].log.read_text()
    try:
        command = ("/bin/echo", "x")
        with pytest.raises(Unavailable) as stranger:
            await done(target, await lease(target, command), command)
    finally:
        world.known_hosts.write_text(pinned)
    assert (stranger.value.code, stranger.value.effect) == ("target.host_key", "none")
    assert "Accepted" not in world.hosts[0].log.read_text()[len(before) :]


@pytest.mark.requirement("SSH-06")
async def test_a_host_that_is_away_says_so_and_a_revocation_waits_for_it_alone(world, target):
    command = ("/bin/echo", "x")
    credential, other = await lease(target, command), await lease(target, command, host="web2")
    world.hosts[0].stop()
    try:
        with pytest.raises(Unavailable) as away:
            await done(target, credential, command)
        assert (away.value.code, away.value.effect) == ("target.unreachable", "none")
        with pytest.raises(Unavailable) as away:
            await target.issuer.revoke(credential.lease)
        assert (away.value.code, away.value.effect) == ("lease.target", "none")
        assert (await target.issuer.revoke(other.lease)).is_gone
        assert await target.issuer.live() == (credential.lease,)
    finally:
        world.hosts[0].start()
    assert (await target.issuer.revoke(credential.lease)).is_gone
    refused = await done(target, credential, command)
    assert refused.result["isError"] is True
    assert "Permission denied" in str(refused.result["content"])


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


@pytest.mark.requirement("SSH-06")
@pytest.mark.parametrize(("ahead", "is_let"), [(20, True), (-20, True), (120, False), (-120, False)])
async def test_a_clock_that_is_off_is_borne_up_to_the_bound_and_fails_closed_beyond(world, ahead, is_let):
    target = built(world, KEY, revocable=False, clock=ShiftedClock(ahead))
    command = ("/bin/echo", "x")
    credential = await lease(target, command, ttl=60, ahead=ahead)
    performed = await done(target, credential, command)
    assert performed.result["isError"] is not is_let


@pytest.mark.requirement("SSH-07")
def test_the_authoritys_key_is_made_once_and_is_the_brokers_alone(world, tmp_path):
    path = tmp_path / "keys" / "ca"
    made = [built(world, KEY, revocable=False, ca_key="", ca_key_file=str(path)) for _ in range(2)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert len({vars(one.target)["_ca"] for one in made}) == 1
    path.chmod(0o640)
    with pytest.raises(Unavailable) as exposed:
        built(world, KEY, revocable=False, ca_key="", ca_key_file=str(path))
    assert exposed.value.code == "target.authority"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.requirement("SSH-07")
@pytest.mark.parametrize("content", [b"", b"not a key", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_what_is_no_key_is_named_without_being_shown(world, content):
    with pytest.raises(Unavailable) as odd:
        built(world, content, revocable=False)
    assert odd.value.code == "target.authority"
    assert "ssh-keygen" in odd.value.message
