"""The page about attributing a log, run on the log of a real server that an agent, a person and a thief used."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator

import asyncpg
import pytest

from answerable.apps.cli.attribution import Kind
from answerable.core.attribution.log_line import LOG_KINDS
from answerable.sdk.keyfile import create_key
from tests.probes.demo_run import ROOT, blocks, environment, even, put_on_path, short_folder
from tests.stand_ins.postgres_server import SETTINGS, PostgresServer, own_postgres
from tests.worlds.brokered import support_desk
from tests.worlds.postgres import furnish
from tests.worlds.up import until

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("ATTRIBUTE-08", "DOCS-22")]

PAGE = (ROOT / "docs/how-to/attribute-a-log.md").read_text()
LEFT_OUT = "…"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    shown = next(one for one in blocks(PAGE, "ini") if "jsonlog" in one)
    with own_postgres(f"{SETTINGS}\n{shown}\nlogging_collector = on\nlog_filename = 'pg.log'\n") as running:
        asyncio.run(furnish(running))
        yield running


async def test_the_commands_of_the_page_work_and_say_what_it_shows(tmp_path, server):
    with short_folder() as folder:
        async with support_desk(folder, server) as desk:
            key = create_key(folder / "scout.jwk", seed=os.urandom(32))
            await desk.instance(key)
            said = await desk.query(key, "SELECT id FROM support_messages")
            answered = await desk.calls(key, "execute", "UPDATE support_messages SET body = 'x' WHERE id = 1")
            assert not answered["result"]["isError"], answered["text"]
            (lease,) = await desk.leases()
            await server.run(f"ALTER ROLE {lease['account']} PASSWORD 'known'")
            await one_statement(server, lease["account"], "known", "psql")
            await server.run("CREATE ROLE person LOGIN PASSWORD 'known'")
            await one_statement(server, "person", "known", desk.action_of(said))
            await desk.ends_task()
            log = server.folder / "state/log/pg.json"
            lines = await until(lambda: with_both(log.read_text().splitlines()), "both in the log")
            (folder / "pg.json").write_text("\n".join([*lines, ""]))

            def run() -> subprocess.CompletedProcess[str]:
                return subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", "\n".join(blocks(PAGE, "bash"))],
                    cwd=folder,
                    env=environment(PATH=put_on_path(tmp_path / "bin"), ANSWERABLE_DATA=str(desk.home.data)),
                    capture_output=True,
                    text=True,
                    timeout=300,
                    check=False,
                )

            done = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stdout + done.stderr
    rest = even(done.stdout)
    for shown in blocks(PAGE, "console"):
        for piece in shown.split(f"\n{LEFT_OUT}\n"):
            _, found, rest = rest.partition(even(piece))
            assert found, (piece, done.stdout + done.stderr)


def with_both(lines: list[str]) -> list[str]:
    """The log, once it has them, with one line of each of the two who are not the agent."""
    theirs = {json.loads(line)["session_id"] for line in lines if "SELECT 7" in line}
    if len(theirs) < 2:
        return []
    return [line for line in lines if "SELECT 7" in line or json.loads(line).get("session_id") not in theirs]


async def one_statement(server: PostgresServer, user: str, password: str, label: str) -> None:
    connection = await asyncpg.connect(
        host="127.0.0.1", port=server.port, user=user, password=password, database="prod",
        server_settings={"application_name": label},
    )  # fmt: skip
    await connection.execute("SELECT 7")
    await connection.close()


def test_the_command_has_the_kinds_that_there_are_readers_for():
    assert tuple(one.value for one in Kind) == LOG_KINDS
