"""Every session in a real sshd's own log, of agents and of people, is told from which step it is."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from answerable.adapters.ssh_certificates import authority_of
from tests.stand_ins.ssh_server import LOGIN, SSHWorld, authority_key, program
from tests.worlds.brokered import Desk, capability, desk_on

pytestmark = pytest.mark.anyio

KEY = authority_key()
ECHO = ["/bin/echo", "seven"]
CAPABILITIES = (
    capability("case.read", "run", "execute", texts=["host"], host="web1", login=LOGIN, command=ECHO),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHWorld]:
    made = SSHWorld(tmp_path_factory.mktemp("ssh"), authority_of(KEY).public_line)
    made.start()
    yield made
    made.stop()


def signs_in(world: SSHWorld, folder: Path, key_id: str, serial: int) -> None:
    """Somebody who has the authority's key makes a certificate without the broker, and uses it."""
    authority, key = folder / "authority", folder / f"key-{serial}"
    authority.touch(mode=0o600)
    authority.write_bytes(KEY)
    subprocess.run(
        [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(key)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    options = ["-O", "force-command=/bin/echo mine", "-V", "+5m"]
    names = ["-I", key_id, "-z", str(serial), "-n", f"{LOGIN}@web1"]
    subprocess.run(
        [program("ssh-keygen"), "-q", "-s", str(authority), *names, *options, f"{key}.pub"],
        check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    host = world.hosts[0]
    done = subprocess.run(
        [
            program("ssh"), "-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes",
            "-o", f"IdentityFile={key}",
            "-o", f"UserKnownHostsFile={world.known_hosts}", "-o", f"HostKeyAlias={host.name}",
            "-o", "IdentityAgent=none", "-p", str(host.port), "-l", LOGIN, "127.0.0.1", "true",
        ],
        check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "mine\n"), done.stderr


@pytest.mark.requirement("ATTRIBUTE-01", "ATTRIBUTE-02", "ATTRIBUTE-06")
async def test_a_session_is_of_the_step_whose_certificate_it_has_and_of_no_other(tmp_path, world):
    target = (
        f'kind = "ssh"\nhosts = {json.dumps(world.settings())}\nknown_hosts = "{world.known_hosts}"\n'
        f'ca_key = "file:ssh-authority"\nsource_addresses = ["127.0.0.1/32"]\n'
        f'revocation_login = "{LOGIN}"\nrevocation_folder = "{world.lists}"\nsocket_folder = "{world.folder}"\n'
    )
    async with desk_on(
        tmp_path, target=target, secrets={"ssh-authority": KEY}, capabilities=CAPABILITIES
    ) as desk:
        key = await desk.agent()
        done = [await desk.does_call(key, "run", host="web1", command=ECHO) for _ in range(3)]
        ours = {desk.account_of(one): desk.action_of(one) for one in done}
        unknown = "ans_" + "a" * 26
        await asyncio.to_thread(signs_in, world, tmp_path, unknown, 4711)
        await asyncio.to_thread(signs_in, world, tmp_path, "chen", 4712)
        await desk.session_of(done[-1])
    log = world.hosts[0].log
    rows = await asyncio.to_thread(attributed, desk, log, code=5)
    assert {row["account"] for row in rows} == {*ours, unknown}
    for row in rows:
        text = log.read_text().splitlines()[int(row["line"]) - 1]
        assert f" ID {row['account']} (serial " in text
        expected = ("bypass", "") if row["account"] == unknown else ("ours", ours[row["account"]])
        assert (row["verdict"], row["action"]) == expected, text
        assert row["grade"] == ("" if row["account"] == unknown else "B")
    # Where the login itself is for the broker alone, nobody else is to use it.
    governed = await asyncio.to_thread(attributed, desk, log, "--account", LOGIN, code=5)
    (of_chen,) = [row for row in governed if row["account"] == "chen"]
    assert of_chen["verdict"] == "bypass"
    assert [row for row in governed if row["account"] in ours] == [
        row for row in rows if row["account"] in ours
    ]


def attributed(desk: Desk, log: Path, *more: str, code: int) -> list[dict[str, str]]:
    ledger = str(desk.home.data / "ledger")
    told = desk.home.finished("attribute", str(log), "--kind", "sshd", "--ledger", ledger, *more, "--csv")
    assert told.returncode == code, told.stdout + told.stderr
    return list(csv.DictReader(io.StringIO(told.stdout)))
