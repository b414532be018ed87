"""Commands on real OpenSSH hosts, as the broker runs them for agents."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping

import pytest

from answerable.adapters.ssh_certificates import authority_of
from answerable.core.canonical import JSONValue
from answerable.core.lease.name import account_of
from answerable.errors import Refused, Unavailable
from answerable.targets.kind import BuiltTarget
from tests.stand_ins.ssh_server import LOGIN, SSHWorld, authority_key, built
from tests.worlds.ssh import (
    ShiftedClock,
    done,
    lease,
    structured,
)

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
    assert (session["ssh_login"], session["ssh_host"]) == (LOGIN, world.hosts[0].name)


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
