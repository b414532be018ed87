"""The gateway as clients of both eras see it, with the real walk, real Cedar and real upstreams behind it."""

from __future__ import annotations

import json

import anyio
import httpx2
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference

from answerable.core.ledger.opened import payload_of
from answerable.core.ledger.tags import Tag
from tests.worlds.gateway import gateway_world, modern, modern_headers, until
from tests.worlds.gateway_answers import approve

pytestmark = pytest.mark.anyio
ERAS = pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
CRM = ("crm.read", "crm.note", "crm.case", "crm.prompt", "crm.complete")


def text(result):
    return result.content[0].text


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy", "auto"])
@pytest.mark.requirement("GATE-01")
async def test_every_governed_method_works_in_both_eras(tmp_path, mode):
    async with gateway_world(tmp_path, "crm") as world:
        world.mandate(*CRM)
        async with world.client("crm", mode=mode) as client:
            read = await client.call_tool("customer_read", {"case_id": "4711"})
            assert read.structured_content["name"] == "Amara Okafor"
            assert {"answerable/action", "answerable/intent", "answerable/outcome"} <= read.meta.keys()
            assert read.meta["answerable/head"].startswith("answerable batch head v2\n")
            resource = await client.read_resource("crm://case/4711")
            assert json.loads(resource.contents[0].text)["case_id"] == "4711"
            prompt = await client.get_prompt("summarise_case", {"case_id": "4711"})
            assert "4711" in prompt.messages[0].content.text
            reference = PromptReference(type="ref/prompt", name="summarise_case")
            completion = await client.complete(reference, {"name": "case_id", "value": "471"})
            assert "4711" in completion.completion.values
        assert [request.method for request in world.calls] == [
            "tools/call",
            "resources/read",
            "prompts/get",
            "completion/complete",
        ]
        assert len(world.entries(Tag.INTENT)) == len(world.ends()) == 4


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.requirement("GATE-01")
async def test_a_client_reads_what_the_upstream_says_about_its_use(tmp_path, mode):
    async with gateway_world(tmp_path, "crm", "bad") as world:
        world.mandate(*CRM, "bad.echo")
        async with world.client("crm", mode=mode) as client:
            assert client.instructions == "Support cases and their customers."
        async with world.client("bad", mode=mode) as client:
            assert client.instructions is None


@ERAS
@pytest.mark.requirement("GATE-05")
async def test_lists_show_only_what_the_mandate_could_allow(tmp_path, mode):
    async with gateway_world(tmp_path, "crm") as world:
        world.mandate("crm.read", "crm.case")
        world.mandate("crm.prompt", agent="rover", identity="m-2")
        async with world.client("crm", mode=mode) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["customer_read"]
            templates = (await client.list_resource_templates()).resource_templates
            assert [template.uri_template for template in templates] == ["crm://case/{case_id}"]
            assert (await client.list_prompts()).prompts == []
            with pytest.raises(MCPError):
                await client.list_tools(cursor="made-up")
        async with world.client("crm", mode=mode, agent="rover", mandate="m-2") as client:
            assert (await client.list_tools()).tools == []
            assert len((await client.list_prompts()).prompts) == 1
        async with world.client("crm", mode=mode, mandate="m-2") as client:
            assert (await client.list_prompts()).prompts == []
        world.walk.authority.mandates.close("m-1")
        async with world.client("crm", mode=mode) as client:
            assert (await client.list_tools()).tools == []


@pytest.mark.requirement("GATE-05")
async def test_a_list_may_not_be_kept_for_others(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        world.mandate("crm.read", "crm.case")
        for method, params in (("tools/list", {}), ("resources/read", {"uri": "crm://case/4711"})):
            named = modern_headers(method, params.get("uri", ""))
            answer = await world.post("crm", modern(method, params), **named)
            result = answer.json()["result"]
            assert (result["ttlMs"], result["cacheScope"]) == (0, "private")


@ERAS
@pytest.mark.requirement("GATE-02")
async def test_what_is_not_governed_is_denied(tmp_path, mode):
    async with gateway_world(tmp_path, "crm") as world:
        world.mandate(*CRM)
        async with world.client("crm", mode=mode) as client:
            for tool in ("case_list", "Customer_read", "customer_read\u200b", "customer_rеad", "nothing"):
                refused = await client.call_tool(tool, {})
                assert refused.is_error
                assert text(refused).startswith("refused: ")
            with pytest.raises(MCPError) as denied:
                await client.read_resource("crm://case/../secrets")
            assert denied.value.code == -32001
        assert world.entries(Tag.INTENT) == []
        assert len(world.entries(Tag.REFUSAL)) == 6


@pytest.mark.requirement("GATE-02")
async def test_unknown_methods_are_denied_and_server_requests_are_not_offered(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        world.mandate(*CRM)
        for method in (
            "tasks/list",
            "logging/setLevel",
            "resources/subscribe",
            "tools/delete",
            "initialize",
            "ping",
        ):
            answer = await world.post("crm", modern(method), **modern_headers(method))
            assert answer.json()["error"]["code"] == -32601, method
        discovered = await world.post("crm", modern("server/discover"), **modern_headers("server/discover"))
        assert set(discovered.json()["result"]["capabilities"]) == {
            "tools",
            "prompts",
            "resources",
            "completions",
        }
        note = json.dumps({"jsonrpc": "2.0", "method": "notifications/made_up"}).encode()
        assert (await world.post("crm", note)).status_code == 202
        progress = json.dumps({"jsonrpc": "2.0", "method": "notifications/progress"}).encode()
        assert (await world.post("crm", progress)).status_code == 202
        assert world.gateway.tally.notifications == {"other": 1, "notifications/progress": 1}
        assert world.calls == []


@ERAS
@pytest.mark.requirement("GATE-06")
async def test_what_neither_schema_nor_capability_names_never_reaches_the_upstream(tmp_path, mode):
    async with gateway_world(tmp_path, "crm", "bad") as world:
        world.mandate(*CRM, "bad.echo")
        async with world.client("crm", mode=mode) as client:
            extra = await client.call_tool("customer_read", {"case_id": "4711", "extra": 1})
            assert "member `extra` is named neither" in text(extra)
        async with world.client("bad", mode=mode) as client:
            hidden = await client.call_tool("echo", {"value": [{"hidden": 1}]})
            assert hidden.is_error
            assert "hidden" not in text(hidden)
            for arguments in ({"value": {"__entity": {"type": "a", "id": "b"}}}, {"__extn": 1}):
                with pytest.raises(MCPError) as refused:
                    await client.call_tool("echo", arguments)
                assert refused.value.code == -32602
        assert world.effects() == []


@ERAS
@pytest.mark.requirement("GATE-15")
async def test_a_deferred_call_runs_once_after_its_approval_and_only_that_call(tmp_path, mode):
    note = {"case_id": "4711", "text": "called back"}
    async with gateway_world(tmp_path, "crm") as world:
        world.mandate(*CRM)
        async with world.client("crm", mode=mode) as client:
            waiting = await client.call_tool("note_add", note)
            assert waiting.is_error
            state = waiting.structured_content
            assert state["state"] == "pending"
            assert len(state["digest"]) == 64
            again = await client.call_tool("note_add", note)
            assert again.structured_content["approvalId"] == state["approvalId"]
            approve(world, state["approvalId"])
            changed = await client.call_tool("note_add", {**note, "text": "called back!"})
            assert changed.structured_content["approvalId"] != state["approvalId"]
            done = await client.call_tool("note_add", note)
            assert not done.is_error
            asked_anew = await client.call_tool("note_add", note)
            assert asked_anew.structured_content["approvalId"] != state["approvalId"]
        assert len(world.entries(Tag.INTENT)) == 1


@ERAS
@pytest.mark.requirement("GATE-11", "TOKEN-08")
async def test_progress_reaches_the_caller_without_the_credential_that_is_in_it(tmp_path, mode):
    seen: list[float] = []
    told: list[str] = []

    async def note(progress, total, message):
        seen.append(progress / total)
        told.append(message)

    async with gateway_world(tmp_path, "bad") as world:
        world.mandate("bad.slow")
        async with world.client("bad", mode=mode) as client:
            result = await client.call_tool("slow", {"seconds": 0.2}, progress_callback=note)
            assert text(result) == "done"
        [stored] = [one for one in world.walk.recorder.ledger.replay() if one.tag == Tag.OUTCOME]
        fields = payload_of(stored, json.loads(stored.leaf), world.walk.recorder.subject_keys.find)
        assert "hidden in progress: 4 github" in str(fields)
    assert seen == [0.25, 0.5, 0.75, 1.0]
    assert told == [f"step {step} with [hidden: github]" for step in range(1, 5)]


@ERAS
@pytest.mark.requirement("GATE-11")
async def test_a_caller_that_cancels_leaves_a_recorded_outcome_and_a_cancelled_upstream(tmp_path, mode):
    async with gateway_world(tmp_path, "bad") as world:
        world.mandate("bad.hang")
        async with world.client("bad", mode=mode) as client:
            with anyio.move_on_after(0.5):
                await client.call_tool("hang", {})
            await until(lambda: world.lines("cancelled") and world.ends(), seconds=1.2)
        assert len(world.entries(Tag.INDETERMINATE)) == 1


@pytest.mark.requirement("GATE-11")
async def test_a_caller_that_just_leaves_is_noticed(tmp_path):
    async with gateway_world(tmp_path, "bad") as world:
        world.mandate("bad.hang")
        body, named = modern("tools/call", {"name": "hang"}), modern_headers("tools/call", "hang")
        with anyio.move_on_after(0.5):
            await world.post("bad", body, **named)
        await until(lambda: world.lines("cancelled") and world.ends(), seconds=1.2)


@ERAS
@pytest.mark.requirement("GATE-09")
async def test_upstream_failures_are_clear_to_the_client_and_recorded(tmp_path, mode):
    names = ("crash", "garbage", "huge", "big_integer", "bad_result", "error", "hang")
    async with gateway_world(tmp_path, "bad") as world:
        world.mandate(*(f"bad.{name}" for name in names))
        async with world.client("bad", mode=mode) as client:
            for name in names:
                result = await client.call_tool(name, {})
                assert result.is_error, name
                expected = "failed" if name == "error" else "indeterminate"
                assert result.structured_content["state"] == expected, name
                assert result.structured_content["actionId"]
        assert len(world.entries(Tag.INTENT)) == len(world.ends()) == len(names)


@pytest.mark.requirement("GATE-01")
async def test_a_session_based_client_may_also_prove_itself_with_a_session_key(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        world.mandate(*CRM)
        async with world.http(mandate="m-1", session=True) as http:
            named = {name.replace("_", "-"): value for name, value in modern_headers("tools/list").items()}
            fields = {
                "content-type": "application/json",
                "accept": "application/json, text/event-stream",
                **named,
            }
            answers = [
                await http.post(f"{world.url}/mcp/crm", content=modern("tools/list"), headers=fields)
                for _ in range(3)
            ]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert all(isinstance(answer, httpx2.Response) for answer in answers)
