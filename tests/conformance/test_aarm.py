"""The technical tests of AARM 1.0 (Autonomous Action Runtime Management, Cloud Security Alliance), at a real gateway.

Real HTTP, proofs, Cedar and upstream processes; the log is in memory. `aarm.toml` says of every test of theirs where it
is proved, here or elsewhere, or that it is not; docs/reference/aarm.md is made from it.
"""

from __future__ import annotations

import json

import httpx2
import pytest
from mcp.shared.exceptions import MCPError

from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.tags import Tag
from answerable.flows.approval.answer_approval import answer_approval
from answerable.sdk.signing import signed_answer
from answerable.testing.builders import nonce_for
from answerable.testing.faults import FaultyLedger
from answerable.testing.samples import signing_key
from tests.conformance.aarm_world import NOTE, notes, opened
from tests.worlds.gateway import World, gateway_world
from tests.worlds.gateway_answers import approve

pytestmark = pytest.mark.anyio
CRM = ("crm.read", "crm.note")


async def answered(world: World, approval_id: str) -> None:
    """Bob says yes, as people do."""
    asked = next(
        one for one in world.walk.authority.approvals.all(pending_only=True, now=world.walk.clock.now())
    )
    token = signed_answer(
        asked,
        nonce=nonce_for(world.walk.asking.openings, world.walk.clock, world.walk.entropy, asked),
        by=PrincipalId("bob"),
        verdict="approve",
        audience=world.walk.recorder.ledger.origin,
        at=world.walk.clock.now(),
        key=signing_key("bob"),
    )
    await answer_approval(
        world.walk.recorder, world.walk.authority, world.walk.asking, world.walk.counters, approval_id, token
    )


@pytest.mark.requirement("AARM-01")
async def test_an_action_that_policy_denies_has_no_effect_and_leaves_a_record_with_policy_and_reason(
    tmp_path,
):
    async with gateway_world(tmp_path, "bad") as world:
        world.mandate("bad.printing", "bad.echo")
        async with world.client("bad") as client:
            refused = await client.call_tool("printing", {})
            assert refused.is_error
            assert "printing wastes paper" in refused.content[0].text
        assert world.effects() == []
        assert world.entries(Tag.INTENT) == []
        ((leaf, fields),) = opened(world, Tag.REFUSAL)
        assert (leaf["agent"], leaf["mandate"], leaf["capability"]) == ("scout", "m-1", "bad.printing")
        assert leaf["by"] == ["no-printing"]
        assert leaf["policy_set"] == world.walk.policies.decision_point.policy_set
        assert fields["reasons"] == ["printing wastes paper"]


@pytest.mark.requirement("AARM-02")
async def test_an_action_that_is_deferred_has_no_effect_until_a_person_says_yes(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        world.mandate(*CRM)
        before = notes(world)
        async with world.client("crm") as client:
            waiting = await client.call_tool("note_add", NOTE)
            assert waiting.structured_content["state"] == "pending"
            assert notes(world) == before
            ((leaf, fields),) = opened(world, Tag.APPROVAL_ASKED)
            assert fields["reasons"] == ["a person reads every note first"]
            assert leaf["requirements"] == [["approvers", 1]]
            # What does not depend on it goes on meanwhile.
            assert not (await client.call_tool("customer_read", {"case_id": "4711"})).is_error
            approve(world, waiting.structured_content["approvalId"])
            assert not (await client.call_tool("note_add", NOTE)).is_error
        assert notes(world) == before + 1


@pytest.mark.requirement("AARM-03")
async def test_without_a_log_that_takes_records_actions_fail_and_nothing_happens(tmp_path):
    async with gateway_world(tmp_path, "bad") as world:
        world.mandate("bad.echo")
        world.walk.recorder.ledger = FaultyLedger(
            world.walk.recorder.ledger, lambda _number, _entry: "undone"
        )
        async with world.client("bad") as client:
            for _ in range(2):
                with pytest.raises(MCPError):
                    await client.call_tool("echo", {"value": [1]})
        assert world.effects() == []


@pytest.mark.requirement("AARM-03")
async def test_without_the_gateway_there_is_no_way_to_act(tmp_path):
    async with gateway_world(tmp_path, "bad") as world:
        world.mandate("bad.echo")
        url, auth = world.url, world.auth(mandate="m-1")
    async with httpx2.AsyncClient(auth=auth, timeout=5, trust_env=False) as http:
        with pytest.raises(httpx2.ConnectError):
            await http.post(f"{url}/mcp/bad", content=b"{}")
    assert not (tmp_path / "calls").exists()


@pytest.mark.requirement("AARM-04")
async def test_a_forbidden_action_is_denied_whatever_was_approved_and_whatever_came_before(tmp_path):
    async with gateway_world(tmp_path, "bad") as world:
        world.mandate("bad.printing", "bad.echo")
        async with world.client("bad") as client:
            for value in range(3):
                assert not (await client.call_tool("echo", {"value": [value]})).is_error
            for _ in range(2):
                assert (await client.call_tool("printing", {})).is_error
        assert [leaf["code"] for leaf, _ in opened(world, Tag.REFUSAL)] == ["no-printing"] * 2
        assert len(world.effects()) == 3
        assert opened(world, Tag.APPROVAL_ASKED) == []


@pytest.mark.requirement("AARM-05")
async def test_every_record_names_person_agent_instance_task_policy_and_how_the_caller_was_proved(tmp_path):
    async with gateway_world(tmp_path, "crm", "bad") as world:
        world.mandate(*CRM, "bad.printing")
        world.mandate("crm.read", agent="rover", identity="m-2")
        async with world.client("crm") as client:
            await client.call_tool("customer_read", {"case_id": "4711"})
            await client.call_tool("note_add", NOTE)
        async with world.client("bad") as client:
            await client.call_tool("printing", {})
        async with world.client("crm", agent="rover", mandate="m-2") as client:
            await client.call_tool("customer_read", {"case_id": "4712"})
        scout, rover = opened(world, Tag.INTENT)
        asked, refused = opened(world, Tag.APPROVAL_ASKED)[0], opened(world, Tag.REFUSAL)[0]
        assert [(leaf["agent"], leaf["mandate"]) for leaf, _ in (scout, rover, asked, refused)] == [
            ("scout", "m-1"),
            ("rover", "m-2"),
            ("scout", "m-1"),
            ("scout", "m-1"),
        ]
        for leaf, _ in (scout, rover, asked, refused):
            assert leaf["capability"]
            assert leaf["proof"]
            assert world.walk.policies.decision_point.policy_set in json.dumps(leaf)
        for _, fields in (scout, rover, asked):
            assert fields["principal"] == "alice"
            assert fields["purpose"] == "Test the gateway"


@pytest.mark.requirement("AARM-06")
async def test_who_asked_is_who_acts_after_the_approval_and_the_record_says_who_approved_and_when(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        world.mandate(*CRM)
        async with world.client("crm") as client:
            waiting = await client.call_tool("note_add", NOTE)
            await answered(world, waiting.structured_content["approvalId"])
            await client.call_tool("note_add", NOTE)
        ((asked, asked_fields),) = opened(world, Tag.APPROVAL_ASKED)
        ((answer, answer_fields),) = opened(world, Tag.APPROVAL_ANSWER)
        assert (answer["approval"], answer["state"]) == (asked["approval"], "approved")
        assert asked["at"] <= answer["at"] <= asked["expires"]
        assert answer_fields["person"] == "bob"
        ((intent, intent_fields),) = opened(world, Tag.INTENT)
        for member in ("agent", "mandate", "capability", "principal", "digest"):
            assert intent[member] == asked[member], member
        assert intent_fields["principal"] == asked_fields["principal"]
        assert intent["approval"] == asked["approval"]
        assert intent["decision"]["lifted"] == ["notes-need-bob"]
