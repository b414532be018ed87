"""S-03: an agent deletes production during a freeze and reports success (Replit, July 2025)."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.probes.postgres_tap import DONE, NO_RIGHT, Login, Tap, asking_server, tapped
from tests.stand_ins.postgres_server import PostgresServer
from tests.worlds.brokered import Desk, support_desk
from tests.worlds.incident import ALL, an_agent, document, on_database, people, template, was_done

pytestmark = pytest.mark.anyio
CHANGES = (
    "DELETE FROM customers",
    "SELECT 1; TRUNCATE customers CASCADE; SELECT 1",
    "INSERT INTO customers SELECT n, 'made up', 'eu' FROM generate_series(1000, 4999) n",
)
FREEZE = (
    ALL
    + """
@id("changes-need-one")
@reason("somebody must agree to a change")
@approve("leads:1")
forbid(principal, action in [Action::"write", Action::"delete"], resource);

@id("freeze")
@reason("production is frozen")
forbid(principal, action in [Action::"write", Action::"delete"], resource)
when { context.windows.freeze && context.capability.environment == "production" };
"""
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with asking_server() as running:
        yield running


def documents() -> str:
    customers = {"name": "public.customers", "verbs": ["select"], "columns": ["id", "name", "region"]}
    every = {"name": "public.customers", "verbs": ["select", "insert", "update", "delete"]}
    return (
        people()
        + document("Server", "shop-db", target="shop-db")
        + on_database("customers.read", "query", "read", customers)
        + on_database("customers.change", "execute", "delete", every, tier=2)
        + template("customers.read", "customers.change")
        + document(
            "PolicySet",
            "all",
            windows=[{"name": "freeze", "begins": "2020-01-01T00:00:00Z"}],
            policies=FREEZE,
        )
    )


async def state(server: PostgresServer) -> tuple[object, ...]:
    [row] = await server.run("SELECT count(*), sum(id), max(name) FROM public.customers", "prod")
    return tuple(row.values())


async def refusals_of(tap: Tap, login: Login) -> None:
    """What the credential of a reader does not do, in the shapes that get around read-only transactions."""
    for sql in (
        *CHANGES,
        "COMMIT; DROP TABLE customers CASCADE",
        "SET default_transaction_read_only = off; DELETE FROM customers",
        "BEGIN READ WRITE; DELETE FROM customers; COMMIT",
        "WITH gone AS (DELETE FROM customers RETURNING 1) SELECT * FROM gone",
        "RESET ROLE; DELETE FROM customers",
        "SET ROLE shop; DELETE FROM customers",
        "SELECT * FROM orders",
    ):
        assert await tap.used(login, sql) == NO_RIGHT, sql
    assert await tap.used(login, "SELECT id FROM customers", "staging") == NO_RIGHT


async def told_in_one_command_each(desk: Desk, account: str, key: str) -> None:
    """Who, for whom, which task, which decision, which data, and from which line, of an incident that Bela opens while
    nothing is stopped by it."""
    signed = ("--as", "bela", "--key", str(desk.home.root / "bela.jwk"))
    opened = await desk.command(
        "incident", "open", "it tried to change production", "--agent", "scout", *signed, "--json"
    )
    name = opened["incident"]
    shown = await desk.command("incident", "show", name, "--json")
    gist = shown["story"]["gist"]
    assert (gist["agents"], gist["people"]) == (["scout"], ["ada"])
    assert any(desk.mandate in one and "Answer case 1" in one for one in gist["tasks"])
    assert "freeze" in gist["rules"]
    assert shown["undoing"] == {"read": 1, "nothing_done": len(CHANGES)}
    assert [(one["capability"], one["server"], one["resource"]) for one in shown["data"]] == [
        ("customers.read", "shop-db", "prod")
    ]
    clock = {one["name"]: one for one in shown["clock"]}
    assert (clock["first attempt"]["entry"], clock["first effect"]["at"]) == (
        shown["actions"][0]["action"]["entry"],
        None,
    )
    assert any("it is not contained" in one for one in shown["questions"])
    # From the account in a line of the target's own log.
    (line,) = (await desk.command("search", f"lease:{account}", "kind:intent", "--json"))["items"]
    assert line["entry"] == shown["actions"][0]["action"]["entry"]
    await packed(desk, name, signed, key)


async def packed(desk: Desk, name: str, signed: tuple[str, ...], key: str) -> None:
    """Somebody notes on it and closes it, and a folder of it is checked by its evidence alone."""
    await desk.command("stop", "scout", "--json")
    note = ("=1+1 looks like a formula", "--class", "serious", "--told", "ai-act-73")
    await desk.command("incident", "note", name, *note, *signed, "--json")
    await desk.command("incident", "close", name, "the freeze held", *signed, "--json")
    out = desk.home.root / "pack"
    # Its witnesses have not seen it yet.
    await desk.command("incident", "pack", name, "--out", str(out), "--wait", "0", code=4)
    rows = [*csv.reader((out / "actions.csv").read_text().splitlines())]
    assert len(rows) == 2 + len(CHANGES)
    assert "'=1+1 looks like a formula" in (out / "statements.csv").read_text()
    checked(json.loads((out / "ocsf.json").read_text()), len(rows) - 1)
    assert "- [x] **ai-act-73**" in (out / "checklist.md").read_text()
    assert "contained: 20" in (out / "checklist.md").read_text()
    report = await desk.command("evidence", "verify", str(out / "evidence.zip"), "--key", key, "--json")
    assert report["status"] == "valid_but", report
    assert report["answers"]["signed"] >= 0
    forged = (out / "evidence.zip").read_bytes().replace(b'"change":"closed"', b'"change":"opened"')
    (out / "forged.zip").write_bytes(forged)
    await desk.command("evidence", "verify", str(out / "forged.zip"), "--key", key, code=5)


def checked(events: list[dict[str, Any]], actions: int) -> None:
    """As OCSF wants its events."""
    assert [one["class_uid"] for one in events].count(2005) == 3
    assert len(events) == actions + 3
    for one in events:
        assert one["type_uid"] == one["class_uid"] * 100 + one["activity_id"]
        assert one["category_uid"] == one["class_uid"] // 1000
        assert one["metadata"]["version"] == "1.9.0-dev"
        assert one["time"] > 10**12
    denied = [one for one in events if one.get("action_id") == 2]
    assert len(denied) == len(CHANGES)
    assert {one["disposition_id"] for one in denied} == {2}


@pytest.mark.requirement("SCEN7-03", "INCIDENT-03", "INCIDENT-04")
async def test_an_agent_in_a_freeze_changes_nothing_and_its_reading_credential_cannot(tmp_path, server):
    before = await state(server)
    async with (
        tapped(server) as tap,
        support_desk(tmp_path, server, port=tap.port, known=documents()) as desk,
    ):
        key = await an_agent(desk)
        # 1. It reads, and while it does its credential is tried by somebody who took it.
        async with tap.held_up() as waits:
            reading = asyncio.create_task(
                desk.query(key, "SELECT count(*) FROM customers WHERE pg_advisory_lock_shared(7) IS NOT NULL")
            )
            await asyncio.wait_for(waits.wait(), 60)
            [login] = tap.logins
            assert await tap.used(login, "SELECT id, name, region FROM customers") == DONE
            await refusals_of(tap, login)
        said = await reading
        assert said["result"]["structuredContent"]["rows"] == [[50]], said["text"]
        assert not await tap.lets_in(login), "its end came with the answer"
        # 2 to 4. Whatever it changes is denied, and nobody is asked.
        for sql in CHANGES:
            denied = await desk.calls(key, "execute", sql)
            assert not was_done(denied)
            assert "production is frozen" in denied["text"]
        assert (await desk.told("/v1/approvals?state=pending"))["items"] == []
        assert len(tap.logins) == 1, "no credential was minted for a change"
        assert await tap.accounts() == []
        assert await state(server) == before
        # 5. It says that all is well; the story of its mandate says what was done.
        story = (await desk.command("timeline", desk.mandate, "--json"))["lines"]
        refused = [one["text"] for one in story if one["kind"] == "refusal"]
        assert len(refused) == len(CHANGES)
        assert all("production is frozen" in one for one in refused), refused
        begun = [one["text"] for one in story if one["kind"] == "intent"]
        assert len(begun) == 1
        assert 'call query(sql="SELECT count(*)' in begun[0]
        # 6. What happened is told as an incident, before anything is stopped.
        of_log = (await desk.told("/v1/ledger"))["key"]
        await told_in_one_command_each(desk, login.account, of_log)
