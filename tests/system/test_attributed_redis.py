"""Every connection in a real Redis's own log, and every refusal that it lists, is told from which step it is."""

from __future__ import annotations

import json
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest

from answerable.adapters.log_readers import LogTimes, RedisLog, offset_of
from answerable.core.lease.name import lease_of
from tests.stand_ins.redis_server import (
    OPERATOR,
    OPERATOR_PASSWORD,
    RunningRedis,
    redis_server,
    spoken,
)
from tests.unit.core.attribution.test_attribute_line import Ledger, action
from tests.worlds.attributed import answers, lines_of
from tests.worlds.brokered import eventually
from tests.worlds.redis_lease import call, issuer_on, logged_in, order

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[RunningRedis]:
    with redis_server(options=("--loglevel", "verbose")) as running:
        yield running


def listed(server: RunningRedis) -> str:
    """What the server refused, one a line, as `jq -c '.[]'` prints it."""
    asked = ["redis-cli", "-p", str(server.port), "--user", OPERATOR, "--pass", OPERATOR_PASSWORD, "--json"]
    done = subprocess.run([*asked, "ACL", "LOG"], capture_output=True, check=True, timeout=30)
    return "".join(f"{json.dumps(one)}\n" for one in json.loads(done.stdout))


@pytest.mark.requirement("ATTRIBUTE-01", "ATTRIBUTE-02", "ATTRIBUTE-03", "ATTRIBUTE-06")
async def test_a_connection_is_of_the_step_that_opened_it_whatever_others_are_called(server):
    def person(name: str) -> None:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            spoken(connection, "AUTH", OPERATOR, OPERATOR_PASSWORD)
            assert spoken(connection, "CLIENT", "SETNAME", name) == b"+OK\r\n"

    ledger, sessions = Ledger(until=2_000_000_000_000), {}
    async with issuer_on(server) as issuer:
        for number, key in enumerate(("case:7:a", "case:8:a"), 1):
            credential = await issuer.issue(order())
            done = await call(server, credential, "command", {"command": "set", "arguments": [key, "x"]})
            sessions[number] = credential.account, dict(done.session)["redis_client"]
        stolen = logged_in(server, credential)
        assert stolen is not None
        assert spoken(stolen, "GET", "case:9:x").startswith(b"-NOPERM")
        stolen.close()
        # One who has the password may give so long a name that the server cuts the user from its line.
        hidden = ("HELLO", "3", "AUTH", credential.account, credential.secret.reveal("password"), "SETNAME")
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            assert not spoken(connection, *hidden, "x" * 2_000).startswith(b"-")
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as refused:
            assert spoken(refused, "AUTH", credential.account, "wrong").startswith(b"-WRONGPASS")
        for name in ("my-app", credential.account, action(1), f"user={credential.account}", "the-last"):
            person(name)
        refusals = listed(server)
    log = server.folder / "redis.log"

    async def is_written() -> bool:
        return "name=the-last" in log.read_text()

    await eventually(is_written, "the log")
    times = LogTimes(zone=offset_of("+00:00"), now=0)
    for number, (account, session) in sessions.items():
        lease = lease_of(account)
        assert lease is not None
        begun = next(line for line in log.read_text().splitlines() if session in line)
        at = times.dated(*begun.split(" ")[1:5])
        ledger.step(
            number, lease=lease, account=account, at=at, lease_ended=at + 60_000, redis_client=session
        )
    found, told = answers(RedisLog(times).read(lines_of(log.read_text())), ledger.index())
    mine = {session: action(number) for number, (_, session) in sessions.items()}
    assert {one.session: one.action for one in told if one.verdict == "ours"} == mine
    assert Counter((one.verdict, one.grade) for one in told) == {
        ("ours", "B"): 2, ("bypass", ""): 1, ("forged", ""): 2,
    }  # fmt: skip
    assert found.ambiguous == 1
    assert not found.unseen(ledger.index(), ()).phantoms
    # What the server refused: the second step, the thief, and an attempt to sign in, which is nobody's.
    _, told = answers(RedisLog(times).read(lines_of(refusals)), ledger.index())
    assert [(one.verdict, one.action) for one in told] == [("bypass", ""), ("ours", action(2))]
