"""Obligations as an agent's client of either era meets them: real walk, real Cedar, a real MCP server behind it."""

from __future__ import annotations

import json

import pytest
from mcp_types import PromptReference

from answerable.adapters.cedar import compiled
from answerable.adapters.memory.approval_channel import MemoryApprovalChannel
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag
from tests.worlds.gateway import PERMIT, gateway_world

pytestmark = pytest.mark.anyio
HIDE = """
@id("hide") @reason("support does not see how to reach a customer") @internal("asked for by the privacy team")
@oblige("redact:/email; mask:/name; rows_max:/notes=1; notify:privacy")
forbid(principal, action, resource is Case);
@id("few") @reason("two cases at a time") @oblige("rows_max:/cases=2")
forbid(principal, action == Action::"crm.list", resource);
@id("quiet") @oblige("redact:/values") forbid(principal, action == Action::"crm.complete", resource);
"""
SECRETS = ("amara.okafor", "Amara", "lindenbakery")


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
@pytest.mark.requirement("OBL-06")
@pytest.mark.requirement("OBL-11")
async def test_an_agent_sees_of_every_kind_of_answer_what_it_may_and_that_something_is_missing(
    tmp_path, mode
):
    async with gateway_world(tmp_path, "crm") as world:
        world.walk.policies.decision_point = compiled(PERMIT + HIDE, world.walk.authority.registry.current)
        world.mandate("crm.read", "crm.list", "crm.case", "crm.prompt", "crm.complete")
        seen: list[str] = []
        async with world.client("crm", mode=mode) as client:
            read = await client.call_tool("customer_read", {"case_id": "4711"})
            customer = read.structured_content
            assert (customer["email"], customer["name"]) == ("[redacted]", "****afor")
            assert len(customer["notes"]) == 1
            assert json.loads(read.content[0].text) == customer
            assert read.content[1].text == ("[by policy: redacted 1 value, masked 1 value, left out 1 row]")
            listed = await client.call_tool("case_list", {})
            assert len(listed.structured_content["cases"]) == 2
            resource = await client.read_resource("crm://case/4711")
            assert json.loads(resource.contents[0].text)["email"] == "[redacted]"
            prompt = await client.get_prompt("summarise_case", {"case_id": "4711"})
            assert prompt.messages[-1].content.text.startswith("[by policy: withheld")
            reference = PromptReference(type="ref/prompt", name="summarise_case")
            completion = await client.complete(reference, {"name": "case_id", "value": "471"})
            assert completion.completion.values == []
            missing = await client.call_tool("customer_read", {"case_id": "4799"})
            assert missing.is_error
            assert missing.content[0].text.startswith("[by policy: withheld")
            seen += [one.model_dump_json() for one in (read, listed, resource, prompt, completion, missing)]
        assert not any(secret in one for secret in (*SECRETS, "privacy team") for one in seen)
        kept = []
        for stored in world.walk.recorder.ledger.replay():
            leaf = leaf_of(stored)
            payload = payload_of(stored, leaf, world.walk.recorder.subject_keys.find)
            kept.append(repr(payload))
            if leaf["tag"] == Tag.INTENT and "mask" in leaf["decision"]["obligations"]:
                told = [{"source": "hide", "text": "asked for by the privacy team"}]
                assert payload["internal"] == told
        # Policy text, which names them, and the tools' descriptions are in the log; customers are not.
        assert not any(secret in one for secret in SECRETS for one in kept)
        assert [leaf["decision"]["obligations"] for leaf in world.entries(Tag.INTENT)] == [
            ["mask", "notify", "redact", "rows_max"],
            ["rows_max"],
            *[["mask", "notify", "redact", "rows_max"]] * 2,
            ["redact"],
            ["mask", "notify", "redact", "rows_max"],
        ]
        assert isinstance(world.walk.asking.channel, MemoryApprovalChannel)
        assert len(world.walk.asking.channel.notified) == 4
