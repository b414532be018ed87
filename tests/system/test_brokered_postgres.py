"""An agent on a real PostgreSQL, through the real server and its broker: what it can do, what is left, what is told."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator

import pytest

from answerable.core.ledger.tags import Tag
from tests.stand_ins.postgres_server import BROKER_PASSWORD, PostgresServer
from tests.worlds.brokered import SupportDesk, command_lines, documents, support_desk
from tests.worlds.postgres import own_furnished_server
from tests.worlds.up import OWNERSHIP, House, until

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with own_furnished_server() as running:
        yield running


@pytest.fixture(autouse=True)
async def nothing_is_left(server: PostgresServer) -> AsyncIterator[None]:
    """Each test's server is killed, and its broker ends what it had."""
    yield
    for _ in range(300):
        if not await roles(server):
            break
        await asyncio.sleep(0.1)
    assert await roles(server) == []


async def roles(server: PostgresServer) -> list[str]:
    return [
        row["rolname"]
        for row in await server.run("SELECT rolname FROM pg_roles WHERE rolname LIKE 'ans\\_%'")
    ]


def process_named(desk: SupportDesk, word: str) -> list[int]:
    """Processes of this house whose command line has this word."""
    own = os.fsencode(desk.home.data)
    return [pid for words, pid in command_lines().items() if {own, word.encode()} <= {*words.split(b"\0")}]


@pytest.mark.requirement("BROKER-04")
async def test_the_brokers_own_secret_is_nowhere_that_anybody_looks(tmp_path, server):
    async with support_desk(tmp_path, server) as desk:
        key = await desk.agent()
        said = await desk.query(key, "SELECT id FROM support_messages")
        wrong = await desk.query(key, "SELECT nothing FROM nowhere")
        secret = BROKER_PASSWORD.encode()
        assert BROKER_PASSWORD not in said["text"] + wrong["text"]
        assert secret not in desk.shown("password")
        await desk.home.stop(signal.SIGTERM)
        assert secret not in desk.shown("password")
        assert not re.search(
            r"PASSWORD '(?!SCRAM)", server.log.read_text().split("CREATE DATABASE staging")[-1]
        )


@pytest.mark.requirement("BROKER-05")
async def test_a_broker_that_is_killed_leaves_nothing_live_to_its_next_start(tmp_path, server):
    async with support_desk(tmp_path, server) as desk:
        key = await desk.agent()
        said = await desk.calls(key, "execute", "UPDATE support_messages SET body = 'seen' WHERE id = 1")
        assert not said["result"]["isError"], said["text"]
        (role,) = await roles(server)
        (lease,) = await desk.leases()
        assert (lease["state"], role) == ("issued", f"ans_{lease['name']}")
        (broker,) = process_named(desk, "broker")
        os.kill(broker, signal.SIGKILL)
        for _ in range(300):
            if not await roles(server):
                break
            await asyncio.sleep(0.1)
        assert await roles(server) == []

        # The next action of the task gets another one.
        async def works() -> bool:
            said = await desk.calls(key, "execute", "UPDATE support_messages SET body = 'x' WHERE id = 1")
            told.append(said["text"])
            return not said["result"]["isError"]

        told = list[str]()
        for _ in range(100):
            if await works():
                break
            await asyncio.sleep(0.1)
        assert sum("has ended" in text for text in told) <= 1, told
        (again,) = await desk.leases()
        assert again["name"] != lease["name"]


@pytest.mark.requirement("BROKER-20")
async def test_an_orderly_stop_ends_what_is_live_and_waits_for_nobody_who_only_listens(tmp_path, server):
    async with support_desk(tmp_path, server) as desk:
        key = await desk.agent()
        await desk.calls(key, "execute", "UPDATE support_messages SET body = 'seen' WHERE id = 1")
        assert len(await roles(server)) == 1
        assert process_named(desk, "broker")
        await desk.home.stop(signal.SIGTERM)
        assert await roles(server) == []
        assert process_named(desk, "broker") == []
        assert "Traceback" not in desk.home.said
        assert "killed" not in desk.home.said


@pytest.mark.requirement("BROKER-11")
async def test_a_broker_whose_server_is_killed_ends_what_is_live_without_waiting_for_its_grace(
    tmp_path, server
):
    async with support_desk(tmp_path, server, more="[front]\ngrace_seconds = 100\n") as desk:
        key = await desk.agent()
        await desk.calls(key, "execute", "UPDATE support_messages SET body = 'seen' WHERE id = 1")
        assert len(await roles(server)) == 1
        (broker,) = process_named(desk, "broker")
        await desk.home.stop(signal.SIGKILL)
        for _ in range(300):
            if not process_named(desk, "broker"):
                break
            await asyncio.sleep(0.1)
        assert process_named(desk, "broker") == [], broker
        assert await roles(server) == []


@pytest.mark.requirement("BROKER-07")
async def test_what_cannot_be_revoked_is_told_exactly_until_it_is_gone(tmp_path, server):
    async with support_desk(tmp_path, server) as desk:
        key = await desk.agent()
        await desk.calls(key, "execute", "UPDATE support_messages SET body = 'seen' WHERE id = 1")
        (lease,) = await desk.leases()
        server.stop()
        try:
            ended = await asyncio.to_thread(desk.home.finished, "lease", "end", "shop-db", "--json")
            assert ended.returncode == 5
            assert [one["name"] for one in json.loads(ended.stdout)["unrevoked"]] == [lease["name"]]
            listed = await unrevoked(desk)
            assert listed.returncode == 5
            (found,) = json.loads(listed.stdout)
            assert (found["name"], found["state"]) == (lease["name"], "unrevoked")
            assert found["fault"]
            refused = await desk.query(key, "SELECT id FROM support_messages")
            assert "not started" in refused["text"]
        finally:
            server.start()
        for _ in range(400):
            # Exit code 5 says that some are not revoked: that of the refused query may be, longer than the role.
            if not await roles(server) and not (await unrevoked(desk)).returncode:
                break
            await asyncio.sleep(0.1)
        assert await roles(server) == []
        states = [one["state"] for one in await desk.told_of(lease["name"], "ended")]
        assert "unrevoked" in states
        assert states[-1] == "ended"


async def unrevoked(desk: SupportDesk) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(desk.home.finished, "lease", "list", "--unrevoked", "--json")


@pytest.mark.requirement("BROKER-08")
async def test_a_broker_that_lost_its_register_is_told_by_the_ledger_what_may_be_live(tmp_path, server):
    async with support_desk(tmp_path, server) as desk:
        key = await desk.agent()
        await desk.calls(key, "execute", "UPDATE support_messages SET body = 'seen' WHERE id = 1")
        assert len(await roles(server)) == 1
        (broker,) = process_named(desk, "broker")
        await desk.home.stop(signal.SIGKILL)
        os.kill(broker, signal.SIGKILL)
        for lost in (desk.home.data / "broker").glob("leases.*"):
            lost.unlink()
        await desk.home.start()
        for _ in range(300):
            if not await roles(server):
                break
            await asyncio.sleep(0.1)
        assert await roles(server) == []


@pytest.mark.requirement("BROKER-09")
async def test_targets_that_come_later_are_taken_over_and_faulty_ones_change_nothing(tmp_path, server):
    async with support_desk(tmp_path, server) as desk:
        targets = desk.home.data / "broker/targets"
        for _ in range(300):
            if await listed_targets(desk) == ["shop-db"]:
                break
            await asyncio.sleep(0.1)
        (targets / "wrong.toml").write_text('kind = "postgres"\nhots = "x"\n')
        await until(lambda: "wrong.toml:2" in desk.home.said, "the fault")
        assert await listed_targets(desk) == ["shop-db"]
        assert "wrong.toml:2: hots: unknown key" in desk.home.said
        (targets / "wrong.toml").rename(targets / "other.toml")
        (targets / "other.toml").write_text((targets / "shop-db.toml").read_text())
        for _ in range(300):
            if await listed_targets(desk) == ["other", "shop-db"]:
                break
            await asyncio.sleep(0.1)
        assert await listed_targets(desk) == ["other", "shop-db"]


@pytest.mark.requirement("BROKER-09")
async def test_a_broker_that_cannot_read_its_targets_says_what_is_wrong_in_a_line_and_ends(tmp_path):
    home = House(tmp_path)
    targets = home.data / "broker/targets"
    targets.mkdir(mode=0o700, parents=True)
    (targets / "wrong.toml").write_text('kind = "postgres"\nhots = "x"\n')
    [line] = (await asyncio.to_thread(home.command, "broker", code=1)).splitlines()
    assert line.startswith("answerable: targets: wrong.toml:2: hots: unknown key")


async def listed_targets(desk: SupportDesk) -> list[str]:
    try:
        return [one["name"] for one in await desk.command("lease", "targets", "--json")]
    except AssertionError:
        return []


@pytest.mark.requirement("BROKER-09")
async def test_targets_that_are_taken_over_anew_keep_no_connection_of_those_before(tmp_path, server):
    async with support_desk(tmp_path, server) as desk:
        key = await desk.agent()
        first = await desk.query(key, "SELECT id FROM support_messages")
        assert not first["result"]["isError"], first["text"]
        mine = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'answerable broker'"
        before = (await server.run(mine))[0][0]
        assert before > 0, "the broker keeps its own connection warm"
        for number in range(2):
            (desk.home.data / f"broker/targets/other{number}.toml").write_text(
                (desk.home.data / "broker/targets/shop-db.toml").read_text()
            )
            for _ in range(300):
                if len(await listed_targets(desk)) == number + 2:
                    break
                await asyncio.sleep(0.1)
            again = await desk.query(key, "SELECT id FROM support_messages")
            assert not again["result"]["isError"], again["text"]
        assert (await server.run(mine))[0][0] <= before


PREVIEWED = f"""---
apiVersion: answerable/v1
kind: Capability
metadata: {{name: case.plan}}
spec:
  server: shop-db
  target: explain
  kind: read
  environment: production
  tier: 0
  sensitivity: confidential
  resource: {{type: Database, fixed: prod}}
  arguments: [{{name: sql, type: string, required: true}}]
  openMembers: [parameters]
  lease:
    grants:
      database: prod
      tables:
        - {{name: public.support_messages, verbs: [select, insert, update]}}
  ownership: {OWNERSHIP}
"""
WAITS = """
    @id("writing-waits")
    @reason("people look at what is changed")
    @approve("leads:1")
    forbid(principal, action == Action::"case.answer", resource);
"""


def with_a_preview() -> str:
    """The desk's documents, in which people are asked before anything is changed and shown what the planner says."""
    known = documents().replace(
        "  target: execute\n", "  target: execute\n  preview: {capability: case.plan}\n"
    )
    known = known.replace(
        "    - {capability: case.answer}\n",
        "    - {capability: case.answer}\n    - {capability: case.plan}\n",
    )
    return f"{known.rstrip()}{WAITS}{PREVIEWED}"


def is_patient(home: House) -> None:
    """So that a busy machine is not taken for a database that hangs."""
    file = home.data / "answerable.toml"
    file.write_text(file.read_text().replace("[walk]", "[walk]\npreview_ms_max = 60000"))


@pytest.mark.requirement("PREVIEW-07")
async def test_people_see_how_many_rows_would_change_by_a_credential_of_its_own_that_is_on_record(
    tmp_path, server
):
    async with support_desk(tmp_path, server, known=with_a_preview(), before=is_patient) as desk:
        key = await desk.agent()
        sql = "UPDATE support_messages SET body = $1 WHERE id = $2"
        before = await server.run("SELECT body FROM support_messages WHERE id = 1", database="prod")
        said = await desk.calls(key, "execute", sql, "we looked into it", 1)
        (waiting,) = await desk.command("approval", "list", "--json")
        shown = await desk.command("approval", "show", waiting["id"], "--json")
        effect = dict(json.loads(shown["card"])["effect"])
        assert effect["rows"] == "about 1 (an estimate, not a count)"
        assert "public.support_messages" in effect["says"]
        assert "estimate" not in said["text"]
        assert "planner" not in said["text"]
        assert await server.run("SELECT body FROM support_messages WHERE id = 1", database="prod") == before
        (ended,) = await desk.leases("--ended")
        assert (ended["capability"], ended["end"]) == ("case.plan", "revoked")
        await desk.told_of(ended["name"], "ended")
        await desk.home.stop(signal.SIGTERM)
        (intent,) = desk.home.entries(Tag.INTENT)
        assert (intent["capability"], intent["lease"], intent["preview_of"]) == (
            "case.plan",
            ended["name"],
            waiting["id"],
        )
