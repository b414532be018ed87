"""The server follows the log of a real PostgreSQL: what was done past it, and under its labels, is recorded once."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from answerable.core.ledger.tags import Tag
from tests.stand_ins.ports import free_port
from tests.stand_ins.postgres_server import SETTINGS, PostgresServer, own_postgres
from tests.system.test_attributed_postgres import LOGS, session
from tests.worlds.brokered import SupportDesk, documents, eventually, support_desk
from tests.worlds.postgres import furnish
from tests.worlds.up import OWNERSHIP

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.requirement("FOLLOW-01", "FOLLOW-02", "FOLLOW-03", "FOLLOW-05", "FOLLOW-07"),
]
THIEFS_WORD = "a password that the thief set"
RULE = f"""---
apiVersion: answerable/v1
kind: StopRule
metadata: {{name: liars}}
spec: {{watches: log_forged, limit: 0, within: 1h, ownership: {OWNERSHIP}}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with own_postgres(f"{SETTINGS}{LOGS.replace('stderr,csvlog,jsonlog', 'jsonlog')}") as running:
        asyncio.run(furnish(running))
        yield running


async def told(desk: SupportDesk) -> dict[str, Any]:
    """The one log, as the control API tells it."""
    transport = httpx2.AsyncHTTPTransport(uds=str(desk.home.data / "control.sock"))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=30) as control:
        (found,) = (await control.get("/v1/logs")).json()["items"]
    return dict(found)


async def everywhere(desk: SupportDesk, metrics: int) -> None:
    """The forged label is told by each command that tells of logs, and to whoever watches."""
    line = asyncio.to_thread
    status = json.loads(await line(desk.home.command, "status", "--json"))
    assert status["logs"][0]["lines"]["forged"] >= 1
    listed = await line(desk.home.finished, "log", "list", "--json")
    assert (listed.returncode, json.loads(listed.stdout)["items"][0]["state"]) == (5, "ok")
    found = await line(desk.home.finished, "doctor")
    assert "shop-db (postgres): ok" in found.stdout + found.stderr
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{metrics}", trust_env=False) as client:
        text = (await client.get("/metrics")).text
    labels = 'kind="postgres",targets="shop-db"'
    lines = str(float(status["logs"][0]["lines"]["forged"]))
    assert f'answerable_target_log_lines_total{{answer="forged",{labels}}} {lines}' in text
    assert f"answerable_target_log_ok{{{labels}}} 1.0" in text


async def bypassed(server: PostgresServer, account: str, *, lives: bool) -> None:
    """Somebody comes in on an account of ours, beside a person. lives: whether its lease does."""
    owner = await server.owner("prod")
    await owner.execute(f"{'ALTER' if lives else 'CREATE'} ROLE {account} LOGIN PASSWORD '{THIEFS_WORD}'")
    thief = await session(server, account, THIEFS_WORD)
    await thief.execute("SELECT 1; SELECT 2")
    await thief.close()
    await owner.close()


async def test_what_a_real_log_shows_is_an_entry_once_and_a_forged_label_holds_by_rule(
    tmp_path: Path, server: PostgresServer
) -> None:
    log, metrics = server.folder / "state/log/pg.json", free_port()
    more = f"[logs]\nfollow = ['shop-db postgres {log}']\n[telemetry]\nmetrics_port = {metrics}\n"
    async with support_desk(tmp_path, server, more=more, known=f"{documents()}{RULE}") as desk:
        key = await desk.agent()
        action = desk.action_of(
            await desk.calls(key, "execute", "UPDATE support_messages SET body = 'x' WHERE id = 1")
        )
        (lease,) = await desk.leases()
        await bypassed(server, lease["account"], lives=True)

        async def has_bypass() -> bool:
            found = await told(desk)
            return bool(found["lines"].get("ours") and found["lines"].get("bypass"))

        await eventually(has_bypass, "the bypass")
        # The server is killed and the log is rotated, and meanwhile the thief comes back.
        await desk.home.stop(signal.SIGKILL)
        log.rename(log.with_name("pg.json.1"))
        await server.run("SELECT pg_rotate_logfile()")
        await eventually(lambda: asyncio.to_thread(log.exists), "the next file of the log")
        # Its broker ends the lease; whoever makes a role of that name again is not the lease.
        roles = f"SELECT 1 FROM pg_roles WHERE rolname = '{lease['account']}'"

        async def is_gone() -> bool:
            return not await server.run(roles)

        await eventually(is_gone, "the end of the lease")
        await bypassed(server, lease["account"], lives=False)
        await desk.home.start()
        liar = f"SELECT set_config('application_name', '{action}', false) FROM support_messages"
        lied = desk.action_of(await desk.calls(key, "query", f"{liar} /* a */"))

        async def is_held() -> bool:
            # Its instance ends with the hold, and is then refused at the door, without a word of the hold.
            return bool(json.loads(await asyncio.to_thread(desk.home.command, "hold", "list", "--json")))

        await eventually(is_held, "the hold of the agent whose session had a forged label")
        found = await told(desk)
        assert (found["state"], found["gaps"], found["lines"].get("phantom", 0)) == ("ok", 0, 0)
        assert found["lines"]["others"] > 5
        await everywhere(desk, metrics)
        assert "which its session does not bear out" in await asyncio.to_thread(
            desk.home.command, "timeline", lied
        )
        await desk.home.stop(signal.SIGTERM)
        findings = desk.home.entries(Tag.LOG_FINDING)
        shown = sorted((one["verdict"], one.get("action"), one.get("claimed")) for one in findings)
        # Two sessions of the thief, each once, although the log was read by two processes.
        assert shown == [("bypass", action, None), ("bypass", action, None), ("forged", lied, action)]
        assert len({one["line"] for one in findings}) == 3
        assert all(one["target"] == "shop-db" and "SELECT" not in json.dumps(one) for one in findings)
        (fired,) = desk.home.entries(Tag.RULE_FIRED)
        assert (fired["rule"], fired["owner"]) == ("liars", "scout")
        assert THIEFS_WORD not in (desk.home.data / "target-logs.json").read_text()
