"""One budget, two real processes, a thousand callers, and a kill in the middle."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections import Counter
from typing import Any

import anyio
import httpx2
import pytest

from answerable.adapters.tlog_files import PublishedFiles, StoredFiles
from tests.worlds.gateway import modern
from tests.worlds.shard_house import House, Shard, leaves, made_house, until

CALLERS = 1_000
AT_A_TIME = 48
ROWS, ROWS_EACH = 2_000, 3
KILLED_AFTER_NOTES = 60
CALL_SECONDS_MAX = 120

INTENT, OUTCOME = 2, 3


def with_rows(house: House) -> None:
    """Callers add notes, each of which may take three of the rows that the mandate has."""
    place = house.world.registry / "registry.yaml"
    text = place.read_text()
    text = text.replace("target: customer_read\n  kind: read", "target: note_add\n  kind: write", 1)
    text = text.replace(
        "arguments: [{name: case_id, type: string, required: true}]",
        f"arguments: [{{name: case_id, type: string, required: true}}]\n  reserves: {{rows: {ROWS_EACH}}}",
    )
    text = text.replace("callsMax: 5", f"callsMax: {10 * CALLERS}\n  budgets: {{rows: {ROWS}}}")
    place.write_text(text)


class Callers:
    """They wait for the gate before each call, so that a kill meets those that are on their way and no others."""

    def __init__(self, house: House, mandate: str) -> None:
        self.house, self.mandate = house, mandate
        self.gate = anyio.Event()
        self.told: Counter[str] = Counter()

    async def run(self, shard: str, callers: int) -> None:
        transport = httpx2.AsyncHTTPTransport(uds=str(self.house.data / f"gateway-{shard}.sock"))
        async with httpx2.AsyncClient(transport=transport, timeout=CALL_SECONDS_MAX) as client:
            turn = anyio.Semaphore(AT_A_TIME)
            async with anyio.create_task_group() as tasks:
                for number in range(callers):
                    tasks.start_soon(self._one, client, turn, f"{shard} {number}")

    async def _one(self, client: httpx2.AsyncClient, turn: anyio.Semaphore, name: str) -> None:
        async with turn:
            await self.gate.wait()
            self.told[await self._called(client, name)] += 1

    async def _called(self, client: httpx2.AsyncClient, name: str) -> str:
        body = modern("tools/call", {"name": "note_add", "arguments": {"case_id": "4711", "text": name}})
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "answerable-mandate": self.mandate,
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/call",
            "mcp-name": "note_add",
        }
        try:
            answer = (await client.post("http://localhost/mcp/crm", content=body, headers=headers)).json()
        except httpx2.TransportError:
            return "cut off"
        if "error" in answer:
            return str(answer["error"]["data"]["code"])
        result = answer["result"]
        if not result.get("isError"):
            return "done"
        # What the tool itself reports, a database that is too busy for one, comes without a state of ours.
        said = result.get("structuredContent", {"state": "failed"})
        return str(said.get("code", said.get("state")))


TRY = "to see whether it runs"


def notes(house: House) -> list[str]:
    """What really happened: the notes that callers added."""
    return [text for text in added(house) if text != TRY]


def tries(house: House) -> list[str]:
    """And the notes that were added to see whether something runs."""
    return [text for text in added(house) if text == TRY]


def added(house: House) -> list[str]:
    with sqlite3.connect(house.world.root / "crm.db") as connection:
        rows = connection.execute(
            "SELECT text FROM notes WHERE text = ? OR text LIKE 'a %' OR text LIKE 'b %'", (TRY,)
        ).fetchall()
    return [str(text) for (text,) in rows]


def rows_used(entries: list[dict[str, Any]]) -> int:
    """Of the budget, by the log alone; at no entry is more reserved than there is."""
    used = 0
    for leaf in entries:
        if leaf["tag"] == INTENT:
            used += leaf["reserved"]["rows"]
            assert used <= ROWS, f"{used} rows are reserved of {ROWS}"
        elif leaf["tag"] == OUTCOME:
            used -= leaf.get("returned", {}).get("rows", 0)
    return used


@pytest.fixture
def house():
    with made_house() as made:
        with_rows(made)
        yield made


async def race(house: House, mandate: str, a: Shard) -> tuple[Callers, Shard]:
    """Half of them at each process; the owner is killed under them and started again."""
    callers = Callers(house, mandate)
    again = Shard(house, "a", ()) if a.process.poll() is not None else a
    async with anyio.create_task_group() as tasks:
        for shard in ("a", "b"):
            tasks.start_soon(callers.run, shard, CALLERS // 2)
        callers.gate.set()
        await anyio.to_thread.run_sync(until, lambda: both_under_way(notes(house)), "the first notes")
        await anyio.to_thread.run_sync(until, lambda: is_stopped_amid(a, house), "an action under way")
        callers.gate = anyio.Event()
        a.killed()
        again = Shard(house, "a", ())
        await anyio.to_thread.run_sync(until, lambda: "ledger  " in again.said(), "the owner to come back")
        await anyio.to_thread.run_sync(acting, again, mandate)
        callers.gate.set()
    return callers, again


def both_under_way(added: list[str]) -> bool:
    """Whether a kill meets callers of both processes."""
    each = Counter(text[0] for text in added)
    return len(added) >= KILLED_AFTER_NOTES and each["b"] >= KILLED_AFTER_NOTES // 6


def is_stopped_amid(shard: Shard, house: House) -> bool:
    """Whether it is stopped between an intent and its outcome; else it goes on."""
    shard.process.send_signal(signal.SIGSTOP)
    log = StoredFiles(house.data / "ledger/shards/a").snapshot()
    assert log is not None
    found = Counter(entry.tag for entry in log.replay())
    if found[INTENT] > found[OUTCOME]:
        return True
    shard.process.send_signal(signal.SIGCONT)
    return False


def acting(shard: Shard, mandate: str) -> None:
    """Its upstream is there. To try takes a call that the budget pays for, too, unless it is spent by now."""

    def answered() -> bool:
        result = shard.call(mandate, tool="note_add", text=TRY).get("result", {})
        return not result.get("isError", True) or "budget" in str(result)

    until(answered, "the upstream")


@pytest.mark.requirement("BUDGET-05", "BUDGET-07", "SHARD-04")
def test_a_thousand_callers_at_two_processes_spend_one_budget_to_the_last_unit_across_a_kill(house: House):
    house.command("a", "apply", "-f", str(house.world.registry))
    with house.up("a") as a, house.up("b") as b:
        mandate = house.issue("a")
        acting(a, mandate)
        until(
            lambda: "not known" not in str(b.call(mandate, tool="note_add", text=TRY)),
            "b to know of it",
        )
        callers, again = anyio.run(race, house, mandate, a)
        try:
            shown = json.loads(house.command("a", "mandate", "show", mandate, "--json").stdout)
        finally:
            again.process.terminate()
            again.process.wait()
    told = callers.told
    print(told)
    assert told.total() == CALLERS
    assert set(told) <= {
        "done",
        "cut off",
        "mandate.budget_spent",
        "shard.lost",
        "shard.down",
        "held.mandate",
        "failed",
        # Of an action that the kill met between intent and outcome nobody knows the end, and who asks is told so.
        "indeterminate",
        # Who came back has no server yet, and starts nothing.
        "upstream.unknown",
    }, told
    assert told["cut off"] > 0, "somebody was cut off by the kill, or nothing was tried"
    entries = leaves(PublishedFiles(house.data / "ledger/shards/a"))
    used = rows_used(entries)
    assert ROWS - ROWS_EACH < used <= ROWS, "the budget is spent as far as it goes"
    assert shown["budgets"] == {"rows": {"used": used, "limit": ROWS}}
    # What happened in the world has an intent each, happened once, and is what callers were told of.
    begun = [leaf for leaf in entries if leaf["tag"] == INTENT]
    succeeded = [leaf for leaf in entries if leaf["tag"] == OUTCOME and leaf["status"] == "succeeded"]
    happened = notes(house)
    assert len(set(happened)) == len(happened)
    tried = len(happened) + len(tries(house))
    assert told["done"] <= len(happened)
    assert len(succeeded) <= tried <= len(begun)
    assert len(begun) > len(succeeded), "the killed process left intents whose end nobody knows"
    assert not [
        leaf for leaf in leaves(PublishedFiles(house.data / "ledger/shards/b")) if leaf["tag"] == INTENT
    ]
    found = house.verified(house.copied())
    assert (found["errors"], [log["errors"] for log in found["logs"].values()]) == (0, [0, 0, 0])
