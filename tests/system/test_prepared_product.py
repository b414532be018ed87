"""The whole product, killed after preparing and after the answer: it pays what was prepared, once, from disk."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from typing import Any

import httpx2
import pytest
import yaml

from tests.probes.demo_run import ROOT, blocks
from tests.worlds.gateway import modern
from tests.worlds.shard_house import SECONDS_MAX, House, Shard, made_house, until

PAGE = (ROOT / "docs/how-to/split-a-tool-in-two.md").read_text()
OWNERSHIP = {
    "owner": "ada", "backupOwner": "bela", "approverGroup": "support-leads", "auditLevel": "full",
    "reviewDate": "2099-01-01",
}  # fmt: skip


def registered(house: House) -> None:
    """The payment runs of the page, for the people and the agent of this house."""
    path = house.world.registry / "registry.yaml"
    documents: list[Any] = [*yaml.safe_load_all(path.read_text())]
    for one in documents:
        if one["kind"] == "MandateTemplate":
            one["spec"]["grants"] += [{"capability": "payruns.prepare"}, {"capability": "payruns.execute"}]
    for one in yaml.safe_load_all(blocks(PAGE, "yaml")[0].replace("finance:1", "support-leads:1")):
        spec = one["spec"]
        if one["kind"] == "Server":
            database = str(house.world.root / "payruns.db")
            spec |= {"command": sys.executable, "args": [str(ROOT / spec["args"][0]), "--database", database]}
        if "ownership" in spec:
            spec["ownership"] = OWNERSHIP
        documents.append(one)
    path.write_text(yaml.safe_dump_all(documents))
    house.command("a", "apply", "-f", str(house.world.registry))


def called(shard: Shard, mandate: str, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The result of a call, {} for an error: the server may not be there yet."""
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "answerable-mandate": mandate,
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": tool,
    }
    transport = httpx2.HTTPTransport(uds=str(shard.house.data / f"gateway-{shard.name}.sock"))
    with httpx2.Client(transport=transport, timeout=SECONDS_MAX) as client:
        body = modern("tools/call", {"name": tool, "arguments": arguments})
        answer = client.post("http://localhost/mcp/payruns", content=body, headers=headers)
    found: dict[str, Any] = answer.json().get("result", {})
    return found


def paid(house: House) -> list[Any]:
    with closing(sqlite3.connect(house.world.root / "payruns.db")) as connection:
        return connection.execute("SELECT payee, iban, amount FROM payments ORDER BY line").fetchall()


@pytest.mark.slow
@pytest.mark.requirement("PREPARE-09", "PREPARE-03")
def test_a_product_that_is_killed_between_all_steps_pays_what_was_prepared_once() -> None:
    invoices = {"invoices": ["INV-7001", "INV-7002"]}
    with made_house() as house:
        registered(house)
        with house.up("a") as a:
            mandate = house.issue("a")

            def prepared() -> Any:
                return called(a, mandate, "run_prepare", invoices).get("_meta", {}).get("answerable/prepared")

            said = until(prepared, "what was prepared")
            assert said["kept"], said
            a.killed()
        call = {"run": said["digest"]}
        with house.up("a") as a:

            def asked() -> Any:
                return called(a, mandate, "run_execute", call).get("structuredContent", {}).get("approvalId")

            waiting = until(asked, "the question")
            seen = house.command("a", "approval", "show", waiting).stdout
            assert "2 items; together amount EUR 1,540.50" in " ".join(seen.split())
            key = ("--as", "chen", "--key", str(house.world.key("chen")))
            shown = json.loads(house.command("a", "approval", "show", waiting, "--json").stdout)
            house.command(
                "a", "approval", "approve", waiting, *key, "--yes", "--typed", shown["name_to_type"]
            )
            a.killed()
        assert paid(house) == []
        with house.up("a") as a:

            def done() -> Any:
                found = called(a, mandate, "run_execute", call)
                return None if found.get("isError", True) else found

            result = until(done, "the payment")
            again = called(a, mandate, "run_execute", call)
            assert again["structuredContent"]["code"] == "prepared.used"
            action = result["_meta"]["answerable/action"]
            told = house.command("a", "timeline", action).stdout
            assert "executes exactly what was prepared at #" in " ".join(told.split())
        assert [amount for _, _, amount in paid(house)] == [120_000, 34_050]
