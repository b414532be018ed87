"""What a refusal, a wait and a failure say to a machine, in both eras of MCP, on stdio and over HTTP."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from answerable.apps.mcp_shim.relay import run_shim
from tests.system.test_gateway_shim import Pipes, command
from tests.worlds.gateway import gateway_world, modern

pytestmark = pytest.mark.anyio
ERAS = pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
WORDS = {"message", "reasons", "retry", "approvalUrl", "effect"}
CRM = ("crm.read", "crm.note")


def said(structured: Any, *, effect: str, retry: bool) -> dict[str, Any]:
    assert isinstance(structured, dict)
    assert structured.keys() >= WORDS, structured
    assert (structured["effect"], structured["retry"]) == (effect, retry)
    assert structured["message"]
    assert structured["reasons"]
    assert all(isinstance(one, str) and one for one in structured["reasons"])
    return structured


@ERAS
@pytest.mark.requirement("WORDS-01")
async def test_a_refusal_and_a_wait_say_everything_in_their_structured_part(tmp_path, mode):
    async with gateway_world(tmp_path, "crm", page="https://console.example") as world:
        world.mandate(*CRM)
        async with world.client("crm", mode=mode) as client:
            refused = await client.call_tool("case_list", {})
            told = said(refused.structured_content, effect="none", retry=False)
            assert told["message"] == refused.content[0].text, "for clients that drop `content`"
            assert told["approvalUrl"] is None
            assert told["code"]
            waiting = await client.call_tool("note_add", {"case_id": "4711", "text": "called"})
            told = said(waiting.structured_content, effect="none", retry=True)
            assert told["message"] == waiting.content[0].text
            assert "Make exactly the same call again" in told["message"]
            assert told["approvalUrl"] == f"https://console.example/approvals/{told['approvalId']}"
            with pytest.raises(MCPError) as error:
                await client.read_resource("crm://case/4711")
            said(error.value.data, effect="none", retry=False)


@ERAS
@pytest.mark.requirement("WORDS-01")
async def test_a_call_that_may_have_happened_says_that_nobody_knows(tmp_path, mode):
    async with gateway_world(tmp_path, "bad") as world:
        world.mandate("bad.crash")
        async with world.client("bad", mode=mode) as client:
            died = await client.call_tool("crash", {})
            told = said(died.structured_content, effect="unknown", retry=False)
            assert told["state"] == "indeterminate"


@pytest.mark.requirement("WORDS-01")
async def test_what_the_front_stops_says_it_too(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        batch = await world.post("crm", b"[" + modern("tools/list") + b"]")
        said(batch.json()["error"]["data"], effect="none", retry=False)
        nowhere = await world.post("nobody", modern("tools/list"))
        said(nowhere.json()["error"]["data"], effect="none", retry=False)


@ERAS
@pytest.mark.requirement("WORDS-02")
async def test_a_client_on_stdio_is_told_of_the_shims_option_and_others_of_the_field(tmp_path, mode):
    async with gateway_world(tmp_path, "crm") as world:
        world.mandate(*CRM)
        async with world.client("crm", mode=mode, mandate="") as client:
            over_http = await client.call_tool("customer_read", {"case_id": "4711"})
        assert "name it in the `Answerable-Mandate` header" in over_http.structured_content["message"]
        async with Client(command(world, "crm", mandate=""), mode=mode, cache=None) as client:
            on_stdio = await client.call_tool("customer_read", {"case_id": "4711"})
        told = said(on_stdio.structured_content, effect="none", retry=False)
        assert told["code"] == "mandate.missing"
        assert "start the shim with `--mandate ID`" in told["message"]
        assert "header" not in told["message"] + str(told["reasons"])


@pytest.mark.requirement("WORDS-01")
async def test_the_shims_own_errors_say_it_too(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        pipes = Pipes()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                partial(
                    run_shim, server="crm", gateway="http://127.0.0.1:9", auth=world.auth(mandate="m-1"),
                    stdin=pipes.stdin, stdout=pipes.stdout,
                )
            )  # fmt: skip
            pipes.say(modern("tools/list", identifier=5))
            pipes.close()
        (answer,) = pipes.heard
        told = said(answer["error"]["data"], effect="none", retry=True)
        assert told["message"] == answer["error"]["message"]
