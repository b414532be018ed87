"""The documents of the page about split tools, in front of the two example servers, with people who sign."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from answerable.core.approval.typed_name import name_to_type
from answerable.core.canonical import parse
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.opened import disclosures_of
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import leaf_hash
from answerable.flows.approval.answer_approval import answer_approval
from answerable.sdk.signing import signed_answer
from answerable.testing.builders import nonce_for
from answerable.testing.samples import document, signing_key
from answerable.verify.check_prepared import ShownPrepared
from answerable.verify.leaf_rules import Fault, read_leaf
from tests.probes.demo_run import ROOT, blocks
from tests.worlds.gateway import World, gateway_world
from tests.worlds.stories import lines_of

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PREPARE-09")]
PAGE = (ROOT / "docs/how-to/split-a-tool-in-two.md").read_text()
PAYRUNS, TEMPLATE, CONFIGURATION = ([*yaml.safe_load_all(one)] for one in blocks(PAGE, "yaml"))


@asynccontextmanager
async def split_world(home: Path, documents: list[Any]) -> AsyncIterator[World]:
    """The page's documents with Chen and Dora of finance, and their server on a database of the test's own."""
    people = [
        document(
            "Principal",
            name,
            {"groups": ["finance"], "keys": [parse(signing_key(name).public.jwk.encode())]},
        )
        for name in ("chen", "dora")
    ]
    more = [*people, *documents]
    for one in more:
        if one["kind"] == "Server":
            args = [str(ROOT / one["spec"]["args"][0]), "--database", str(home / "example.db")]
            one["spec"] = {"command": sys.executable, "args": args}
    async with gateway_world(home, more=more) as world:
        server = next(one["metadata"]["name"] for one in documents if one["kind"] == "Server")
        names = [one["metadata"]["name"] for one in documents if one["kind"] == "Capability"]
        assert server
        world.mandate(*names)
        yield world


async def approve(world: World, waiting: Any) -> None:
    approval = world.walk.authority.approvals.find(waiting["approvalId"])
    assert approval is not None
    token = signed_answer(
        approval,
        nonce=nonce_for(world.walk.asking.openings, world.walk.clock, world.walk.entropy, approval),
        by=PrincipalId("chen"),
        verdict="approve",
        audience=world.walk.recorder.ledger.origin,
        at=world.walk.clock.now(),
        key=signing_key("chen"),
    )
    assert (
        await answer_approval(
            world.walk.recorder,
            world.walk.authority,
            world.walk.asking,
            world.walk.counters,
            approval.id,
            token,
            typed=name_to_type(approval),
        )
    ).state == "approved"


def rows(home: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(home / "example.db")) as connection:
        return connection.execute(query).fetchall()


def told(result: Any) -> dict[str, Any]:
    found: dict[str, Any] = result.meta["answerable/prepared"]
    return found


def faults(world: World) -> tuple[list[str], int]:
    """What a stranger would find wrong in the whole log, and what could not be compared."""
    check = ShownPrepared()
    for stored in world.walk.recorder.ledger.replay():
        leaf = read_leaf(stored.leaf)
        assert not isinstance(leaf, Fault)
        shown = disclosures_of(stored, world.walk.recorder.subject_keys.find) or ()
        check.take(stored.index, leaf, shown, leaf_hash(stored.leaf))
    return [fault.message for _, fault in check.faults()], check.unread


async def test_a_payment_run_is_paid_as_it_was_prepared_shown_and_signed(tmp_path):
    async with split_world(tmp_path, PAYRUNS) as world, world.client("payruns") as agent:
        answer = await agent.call_tool("run_prepare", {"invoices": ["INV-7001", "INV-7002"]})
        prepared = told(answer)
        assert answer.structured_content is not None
        assert prepared["kept"]
        assert f'`run_execute` with {{"run":"{prepared["digest"]}"}}' in answer.content[-1].text
        assert rows(tmp_path, "SELECT count(*) FROM payments") == [(0,)]
        call = {"run": prepared["digest"]}
        waiting = await agent.call_tool("run_execute", call)
        assert waiting.is_error
        assert waiting.structured_content is not None
        assert waiting.structured_content["state"] == "pending"
        card: Any = parse(
            world.walk.authority.approvals.all(pending_only=True, now=world.walk.clock.now())[0].card.bytes
        )
        assert "EUR 1,540.50" in card["sentence"]
        assert dict(card["prepared"])["› lines"] == "2 items; together amount EUR 1,540.50"
        await approve(world, waiting.structured_content)
        paid = await agent.call_tool("run_execute", call)
        assert not paid.is_error, paid
        lines = answer.structured_content["lines"]
        assert rows(tmp_path, "SELECT payee, iban, amount, invoice FROM payments ORDER BY line") == [
            (one["payee"], one["iban"], one["amount"], one["invoice"]) for one in lines
        ]
        again = await agent.call_tool("run_execute", call)
        assert again.structured_content is not None
        assert again.structured_content["code"] == "prepared.used"
        assert faults(world) == ([], 0)
        intent = [one for one in world.entries(Tag.INTENT) if one["capability"] == "payruns.execute"][-1]
        story = lines_of(world.walk.recorder, intent["action"])
        ended = next(one for one in world.walk.recorder.ledger.replay() if one.tag == Tag.OUTCOME).index
        assert any(f"exactly what was prepared at #{ended}" in one for line in story for one in line.details)


async def test_a_change_that_was_prepared_against_what_has_moved_since_is_not_applied(tmp_path):
    async with split_world(tmp_path, CONFIGURATION) as world, world.client("configuration") as agent:

        async def prepare(**settings: str | None) -> str:
            result = await agent.call_tool("change_prepare", {"service": "checkout", "settings": settings})
            return str(told(result)["digest"])

        host = await prepare(payment_host="pay.attacker.example", retries=None)
        waiting = await agent.call_tool("change_apply", {"change": host})
        assert waiting.structured_content is not None
        assert waiting.structured_content["state"] == "pending"
        card: Any = parse(
            world.walk.authority.approvals.all(pending_only=True, now=world.walk.clock.now())[0].card.bytes
        )
        line = dict(card["prepared"])["› steps 1"]
        assert line == 'after "pay.attacker.example", before "pay.example.com", name "payment_host"'
        # Meanwhile something harmless changes, which nobody is asked about.
        harmless = await agent.call_tool("change_apply", {"change": await prepare(timeout_seconds="45")})
        assert not harmless.is_error, harmless
        await approve(world, waiting.structured_content)
        late = await agent.call_tool("change_apply", {"change": host})
        assert late.is_error
        assert "nothing was changed, prepare again" in str(late.content)
        assert rows(tmp_path, "SELECT name, value FROM settings WHERE service = 'checkout' ORDER BY name") == [
            ("payment_host", "pay.example.com"), ("retries", "2"), ("timeout_seconds", "45"),
        ]  # fmt: skip
        assert faults(world) == ([], 0)


async def test_the_template_grants_both_parts_and_nothing_else():
    parts = [one["metadata"]["name"] for one in PAYRUNS if one["kind"] == "Capability"]
    (template,) = TEMPLATE
    assert [one["capability"] for one in template["spec"]["grants"]] == parts


async def test_a_tool_without_a_required_text_for_the_bytes_is_blocked(tmp_path):
    documents = [*yaml.safe_load_all(blocks(PAGE, "yaml")[0])]
    for one in documents:
        if one["metadata"]["name"] == "payruns.execute":
            one["spec"]["executes"] = {"preparedBy": "payruns.prepare", "argument": "runs"}
            one["spec"]["openMembers"] = ["runs"]
    async with split_world(tmp_path, documents) as world, world.client("payruns") as agent:
        prepared = told(await agent.call_tool("run_prepare", {"invoices": ["INV-7001"]}))
        blocked = await agent.call_tool("run_execute", {"runs": prepared["digest"]})
        assert blocked.structured_content is not None
        assert blocked.structured_content["code"] == "tool.mapping"
