"""AARM's tests about context and the five decisions: what happened before counts, whatever the caller opens anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client

from answerable.core.ledger.tags import Tag
from answerable.flows.registry.apply_registry import apply_registry
from tests.conformance.aarm_world import NOTE, notes, opened, texts
from tests.worlds.gateway import World, gateway_world, registry
from tests.worlds.gateway_answers import approve
from tests.worlds.parts import to_apply

pytestmark = pytest.mark.anyio
READ, ECHO = ("customer_read", {"case_id": "4711"}), ("echo", {"value": 1})
PERMIT = '@id("on-task") @reason("for the task at hand") permit(principal, action, resource);\n'
TRACKERS: list[dict[str, Any]] = [
    {"name": "started", "over": "mandate"},
    {
        "name": "confidential_reads",
        "over": "agent",
        "within": "1h",
        "event": "succeeded",
        "sensitivities": ["confidential"],
    },
    {
        "name": "read_this",
        "over": "mandate",
        "event": "succeeded",
        "capabilities": ["crm.read"],
        "sameResource": True,
    },
]
DENIED_AFTER_READING = """@id("no-echo-after-reading") @reason("nothing leaves once customers were read")
forbid(principal, action == Action::"bad.echo", resource) when { context.history.confidential_reads > 0 };
"""
READ_BEFORE_WRITING = """@id("read-first") @reason("who writes about a case has read it")
forbid(principal, action == Action::"crm.note", resource) when { context.history.read_this == 0 };
"""
ASK_AFTER_READING = """@id("ask-after-reading") @reason("customers were read, so a person looks first")
@approve("approvers:1")
forbid(principal, action == Action::"bad.echo", resource) when { context.history.confidential_reads > 0 };
"""
FIVE = """@id("never") @reason("printing wastes paper")
forbid(principal, action == Action::"bad.printing", resource);
@id("step-up") @reason("a person looks first") @approve("approvers:1")
forbid(principal, action == Action::"crm.note", resource);
@id("not-so-much") @reason("never more than three") @oblige("modify:value<=3")
forbid(principal, action == Action::"bad.echo", resource) when { context.arguments.value > 3 };
"""


@asynccontextmanager
async def house(home: Path, policies: str) -> AsyncIterator[World]:
    """A gateway whose policy set has these policies and the trackers; customers are confidential."""
    async with gateway_world(home, "crm", "bad") as world:
        documents = registry(home, ("crm", "bad"))
        for one in documents:
            match one:
                case {"kind": "PolicySet", "spec": dict(spec)}:
                    spec |= {"policies": PERMIT + policies, "trackers": [*TRACKERS]}
                case {"kind": "Capability", "metadata": {"name": "crm.read"}, "spec": dict(spec)}:
                    spec |= {"kind": "read", "sensitivity": "confidential"}
                case {"kind": "Capability", "metadata": {"name": "bad.echo"}, "spec": dict(spec)}:
                    spec["arguments"] = [{"name": "value", "type": "integer", "required": True}]
        await apply_registry(*to_apply(world.walk), documents, by="operator")
        world.mandate("crm.read", "crm.note", "bad.echo", "bad.printing")
        yield world


def asked(world: World, tag: Tag) -> list[dict[str, Any]]:
    """The whole context of each decision of this kind, as it was written down."""
    return [fields["question"]["context"] for _, fields in opened(world, tag)]


async def called(client: Client, tool: tuple[str, dict[str, Any]]) -> Any:
    return await client.call_tool(*tool)


@pytest.mark.requirement("AARM-07")
async def test_policy_is_given_what_was_done_before_and_how_sensitive_it_was_in_whatever_session(tmp_path):
    async with house(tmp_path, "") as world:
        for mode in ("2026-07-28", "legacy", "2026-07-28"):
            async with world.client("crm", mode=mode) as crm, world.client("bad", mode=mode) as bad:
                assert not (await called(crm, READ)).is_error
                assert not (await called(bad, ECHO)).is_error
        histories = [context["history"] for context in asked(world, Tag.INTENT)]
        assert [history["started"] for history in histories] == [0, 1, 2, 3, 4, 5]
        assert [history["confidential_reads"] for history in histories] == [0, 1, 1, 2, 2, 3]
        contexts = asked(world, Tag.INTENT)
        assert {context["capability"]["sensitivity"] for context in contexts} == {"confidential", "internal"}
        assert {context["task"]["purpose"] for context in contexts} == {"Test the gateway"}


@pytest.mark.requirement("AARM-08")
async def test_what_is_allowed_is_denied_after_sensitive_data_was_read(tmp_path):
    async with house(tmp_path, DENIED_AFTER_READING) as world:
        async with world.client("crm") as crm, world.client("bad") as bad:
            assert not (await called(bad, ECHO)).is_error
            assert not (await called(crm, READ)).is_error
            assert "nothing leaves" in texts(await called(bad, ECHO))
        async with world.client("bad", mode="legacy") as anew:
            assert (await called(anew, ECHO)).is_error
        assert len(world.effects()) == 1
        assert [leaf["by"] for leaf, _ in opened(world, Tag.REFUSAL)] == [["no-echo-after-reading"]] * 2


@pytest.mark.requirement("AARM-09")
async def test_what_is_denied_is_allowed_once_the_context_confirms_it(tmp_path):
    async with house(tmp_path, READ_BEFORE_WRITING) as world:
        before = notes(world)
        async with world.client("crm") as crm:
            assert "who writes about a case has read it" in texts(await crm.call_tool("note_add", NOTE))
            assert not (await crm.call_tool("customer_read", {"case_id": "4712"})).is_error
            assert (await crm.call_tool("note_add", NOTE)).is_error
            assert not (await called(crm, READ)).is_error
            assert not (await crm.call_tool("note_add", NOTE)).is_error
        assert notes(world) == before + 1


@pytest.mark.requirement("AARM-09")
async def test_where_the_context_speaks_against_what_is_allowed_a_person_is_asked(tmp_path):
    async with house(tmp_path, ASK_AFTER_READING) as world:
        async with world.client("crm") as crm, world.client("bad") as bad:
            assert not (await called(bad, ECHO)).is_error
            await called(crm, READ)
            waiting = await called(bad, ECHO)
            assert waiting.structured_content["state"] == "pending"
            assert len(world.effects()) == 1
            approve(world, waiting.structured_content["approvalId"])
            assert not (await called(bad, ECHO)).is_error
        ((_, fields),) = opened(world, Tag.APPROVAL_ASKED)
        assert fields["reasons"] == ["customers were read, so a person looks first"]
        assert len(world.effects()) == 2


@pytest.mark.requirement("AARM-10")
async def test_each_kind_of_decision_is_carried_out(tmp_path):
    async with house(tmp_path, FIVE) as world:
        async with world.client("crm") as crm, world.client("bad") as bad:
            # allow: as it was asked for
            assert not (await called(bad, ECHO)).is_error
            # modify: the target gets less than was asked for
            assert not (await bad.call_tool("echo", {"value": 9})).is_error
            # deny: nothing happens
            assert (await bad.call_tool("printing", {})).is_error
            # step up: nothing happens until a person said yes; this is our defer, too
            before = notes(world)
            waiting = await crm.call_tool("note_add", NOTE)
            assert waiting.structured_content["state"] == "pending"
            assert notes(world) == before
            approve(world, waiting.structured_content["approvalId"])
            assert not (await crm.call_tool("note_add", NOTE)).is_error
            assert notes(world) == before + 1
        assert [one["arguments"]["value"] for one in world.effects()] == [1, 3]
        plain, narrowed, noted = opened(world, Tag.INTENT)
        assert "asked_decision" not in plain[1]
        assert narrowed[1]["asked_decision"]["lifted"] == ["not-so-much"]
        assert narrowed[1]["asked_question"]["context"]["arguments"] == {"value": 9}
        assert narrowed[1]["question"]["context"]["arguments"] == {"value": 3}
        assert noted[0]["decision"]["lifted"] == ["step-up"]
