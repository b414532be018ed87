"""Standing secrets of the real broker beside a real PostgreSQL: rotated, exposed, and kept from an agent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from answerable.adapters.secret_store import Keyring, SealedSecretStore
from answerable.adapters.system import SystemEntropy
from answerable.core.ledger.tags import Tag
from answerable.sdk.keyfile import create_key
from answerable.testing.clock import ManualClock
from tests.stand_ins.postgres_server import BROKER_PASSWORD, PostgresServer
from tests.worlds.brokered import TARGET, SupportDesk, support_desk
from tests.worlds.postgres import furnished_server
from tests.worlds.up import House, environment

pytestmark = pytest.mark.anyio

NAME = "shop-db-password"
STORED = TARGET.replace("file:password", f"store:{NAME}")
READ = "SELECT id, body FROM support_messages ORDER BY id"
DAY_MS = 86_400_000


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with furnished_server() as running:
        yield running


def kept(days_ago: int = 0):
    """Keep the password of the broker's account in the store, as it was done so many days ago."""

    def before(home: House) -> None:
        broker, entropy = home.data / "broker", SystemEntropy()
        SealedSecretStore.open(
            broker / "secrets",
            Keyring(broker / "keyring", entropy),
            clock=ManualClock(time.time_ns() // 1_000_000 - days_ago * DAY_MS),
            entropy=entropy,
        ).put(NAME, BROKER_PASSWORD.encode(), kind="static", owner="ann", about="", rotate_days=30)
        (broker / "targets/password").unlink()

    return before


async def lets_in(server: PostgresServer, value: str = BROKER_PASSWORD) -> bool:
    try:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=server.port, user="answerable", password=value, database="postgres"
        )
    except asyncpg.InvalidPasswordError:
        return False
    await connection.close()
    return True


async def secret(desk: SupportDesk, name: str = NAME) -> dict[str, Any]:
    """As the list of secrets says it, whatever is due."""
    return next(one for one in await listed(desk, "secret", "list") if one["name"] == name)


async def listed(desk: SupportDesk, *words: str) -> Any:
    """What a command lists, whatever its exit code says of it."""
    process = await asyncio.create_subprocess_exec(
        *desk.home.line(*words, "--json"), stdout=asyncio.subprocess.PIPE, env=environment()
    )
    return json.loads((await process.communicate())[0])


async def version(desk: SupportDesk, number: int) -> dict[str, Any]:
    for _ in range(200):
        found = await secret(desk)
        if found["version"] == number:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"there was never a version {number}: {desk.home.said}")


async def an_agent(desk: SupportDesk):
    key = create_key(desk.home.root / "scout.jwk", seed=os.urandom(32))
    await desk.instance(key)
    return key


async def reads(desk: SupportDesk, key: Any) -> str:
    """The body of the first message of the case; or what it says instead."""
    said = await desk.query(key, READ)
    rows = (said["result"] or {}).get("structuredContent", {}).get("rows")
    return str(rows[0][1]) if rows else str(said["text"])


@pytest.mark.requirement("SECRET-07", "SECRET-06")
async def test_the_running_broker_changes_its_own_password_on_the_day_and_after_exposure(tmp_path, server):
    async with support_desk(tmp_path, server, target=STORED, before=kept(days_ago=31)) as desk:
        key = await an_agent(desk)
        found = await version(desk, 2)
        assert (found["due"], found["owner"]) == ("", "ann")
        assert not await lets_in(server)
        assert await reads(desk, key) == "body 1"
        await desk.command("secret", "expose", NAME, "--reason", "seen in a ticket")
        found = await version(desk, 3)
        assert found["due"] == ""
        assert await reads(desk, key) == "body 1"
        await desk.command("secret", "rotate", "--at-target", "shop-db")
        await version(desk, 4)
        assert await reads(desk, key) == "body 1"
        assert {use["by"] for use in found["uses"]} >= {"target shop-db", "rotation"}
        assert "was replaced, here and at its target" in desk.home.said
        log = server.log.read_text().split("CREATE DATABASE staging")[-1]
        assert "ALTER ROLE CURRENT_USER PASSWORD 'SCRAM-SHA-256$" in log
        assert log.count("ALTER ROLE CURRENT_USER PASSWORD") == 3


@pytest.mark.requirement("SECRET-08")
async def test_a_canary_that_an_agent_is_shown_or_shows_goes_no_further_and_the_ledger_names_it(
    tmp_path, server
):
    async with support_desk(tmp_path, server, target=STORED, before=kept()) as desk:
        key = await an_agent(desk)
        planted = tmp_path / "credentials"
        await desk.command("secret", "canary", "bait", "--to", str(planted), "--form", "password")
        bait = planted.read_text().strip()
        await server.run(
            f"UPDATE support_messages SET body = 'the key is {bait}' WHERE case_id = 'case-1';", "prod"
        )
        await asyncio.sleep(1.5)  # The broker looks for new secrets once a second.
        said = await desk.query(key, READ)
        assert bait not in json.dumps(said, default=str)
        assert "withheld" in said["text"]
        shown = said["result"]["_meta"]["answerable/action"]
        found = await secret(desk, "bait")
        assert "scout" in found["exposed_why"]
        assert "exposed" in found["due"]
        passed = await desk.query(key, f"SELECT '{bait}'")
        assert "secret" in passed["text"]
        assert bait not in passed["text"]
        assert f"SELECT '{bait}'" not in server.log.read_text(), "it was sent nowhere"
        ended = await desk.leases("--ended")
        assert [one for one in ended if "bait" in one["why"]]
        await desk.home.stop(signal.SIGTERM)
        assert bait not in desk.home.said
        outcomes = {one["action"]: one for one in desk.home.entries(Tag.OUTCOME)}
        assert outcomes[shown]["session"]["secret_withheld"] == "bait"
        assert outcomes[shown]["status"] == "succeeded", "it was performed, and that is said"
        (refused,) = [one for action, one in outcomes.items() if one["status"] == "not_started"]
        assert "session" not in refused
        assert [one for one in desk.home.entries(Tag.LEASE) if "bait" in one["why"]]


@pytest.mark.requirement("SECRET-08", "SECRET-07")
async def test_the_brokers_own_password_in_an_answer_is_withheld_and_replaced_at_once(tmp_path, server):
    async with support_desk(tmp_path, server, target=STORED, before=kept()) as desk:
        key = await an_agent(desk)
        await server.run(
            f"UPDATE support_messages SET body = '{BROKER_PASSWORD}' WHERE case_id = 'case-1';", "prod"
        )
        said = await desk.query(key, READ)
        assert BROKER_PASSWORD not in json.dumps(said, default=str)
        await version(desk, 2)
        assert not await lets_in(server), "whoever read it has nothing"
        for _ in range(100):
            if "exposed" not in (text := await reads(desk, key)):
                break
            await asyncio.sleep(0.1)
        assert text == BROKER_PASSWORD, "which is no secret any more"


@pytest.mark.requirement("SECRET-09", "SECRET-07")
async def test_a_secret_that_only_people_can_change_stops_its_target_until_they_did(tmp_path, server):
    def before(home: House) -> None:
        kept()(home)
        other = STORED.replace("{port}", "1").replace('"answerable"', '"another"')
        (home.data / "broker/targets/other-db.toml").write_text(other)

    async with support_desk(tmp_path, server, target=STORED, before=before) as desk:
        key = await an_agent(desk)
        assert await reads(desk, key) == "body 1"
        by_hand = await desk.command("secret", "rotate", "--at-target", "shop-db", code=3)
        assert "other-db" in by_hand
        assert "a secret of its own" in by_hand
        await desk.command("secret", "expose", NAME, "--reason", "seen in a ticket")
        for _ in range(50):
            if "exposed" in (text := await reads(desk, key)):
                break
            await asyncio.sleep(0.1)
        assert f"answerable secret rotate {NAME}" in text
        assert "is to be replaced by hand" in desk.home.said
        status = await listed(desk, "status")
        assert status["secrets_due"] == [
            {"name": NAME, "why": "it was exposed: seen in a ticket", "targets": ["other-db", "shop-db"]}
        ]
        assert NAME in await desk.command("status")
        doctor = await listed(desk, "doctor")
        (found,) = [one for one in doctor if one["name"] == f"secret {NAME}"]
        assert found["state"] == "fault"
        assert "seen in a ticket" in found["says"]
        assert "secret rotate" in found["advice"]
        new = tmp_path / "new"
        new.write_text("a-new-password-by-hand")
        await server.run("ALTER ROLE answerable PASSWORD 'a-new-password-by-hand';")
        await desk.command("secret", "rotate", NAME, "--file", str(new))
        for _ in range(100):
            if (text := await reads(desk, key)) == "body 1":
                break
            await asyncio.sleep(0.1)
        assert text == "body 1"
