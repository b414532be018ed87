"""What an MCP client hears while its call waits for people, with the SDK's own client of both eras."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequestURLParams, ElicitResult

from answerable.apps.mcp_gateway import gate, holding
from answerable.apps.mcp_gateway.services import GatewayLimits
from answerable.core.ledger.tags import Tag
from tests.worlds.gateway import World, gateway_world, modern, modern_headers
from tests.worlds.gateway_answers import approve

pytestmark = pytest.mark.anyio
PAGE = "http://localhost:8700"
SOON = GatewayLimits(approval_wait_seconds=0.3)
NOTE: Any = {"case_id": "4711", "text": "called back"}


def notes(world: World) -> int:
    """Effects that were begun."""
    return len(world.entries(Tag.INTENT))


class Person:
    """Whoever sits at the client: opens addresses, and may have somebody answer on our page meanwhile."""

    def __init__(self, world: World, *, answers: bool) -> None:
        self.world, self.answers = world, answers
        self.opened: list[str] = []

    async def __call__(self, _context: Any, asked: Any) -> ElicitResult:
        assert isinstance(asked, ElicitRequestURLParams)
        self.opened.append(asked.url)
        if self.answers:
            approve(self.world, asked.url.rpartition("/")[2])
        return ElicitResult(action="accept")


@pytest.mark.requirement("ASKING-01")
async def test_a_client_is_sent_to_our_page_and_its_repeated_call_runs_once(tmp_path):
    async with gateway_world(tmp_path, "crm", page=PAGE) as world:
        world.mandate("crm.note")
        person = Person(world, answers=True)
        async with world.client("crm", elicitation_callback=person) as client:
            done = await client.call_tool("note_add", NOTE)
        assert not done.is_error
        (asked,) = world.entries(Tag.APPROVAL_ASKED)
        assert person.opened == [f"{PAGE}/approvals/{asked['approval']}"]
        assert notes(world) == 1


@pytest.mark.requirement("ASKING-01")
async def test_a_repeated_call_waits_until_people_have_answered(tmp_path, monkeypatch):
    async def answered_meanwhile(approval: Any, waits: Any, **how: Any) -> bool:
        def waits_once(identity: str) -> bool:
            waiting = waits(identity)
            if waiting:
                approve(world, identity)
            return bool(waiting)

        return await holding.until_answered(approval, waits_once, **how)

    monkeypatch.setattr(gate, "until_answered", answered_meanwhile)
    async with gateway_world(tmp_path, "crm", page=PAGE) as world:
        world.mandate("crm.note")
        person = Person(world, answers=False)
        async with world.client("crm", elicitation_callback=person) as client:
            assert not (await client.call_tool("note_add", NOTE)).is_error
        assert (len(person.opened), notes(world)) == (1, 1)


@pytest.mark.requirement("ASKING-02")
async def test_a_client_that_says_yes_by_itself_runs_nothing(tmp_path):
    limits = GatewayLimits(approval_wait_seconds=0.05)
    async with gateway_world(tmp_path, "crm", page=PAGE, limits=limits) as world:
        world.mandate("crm.note")
        person = Person(world, answers=False)
        async with world.client("crm", elicitation_callback=person) as client:
            with pytest.raises(Exception, match=r"(?i)input|round"):
                await client.call_tool("note_add", NOTE)
        assert len(person.opened) > 1, "it was asked again each time"
        assert len(world.entries(Tag.APPROVAL_ASKED)) == 1, "about one approval"
        assert notes(world) == 0


@pytest.mark.requirement("ASKING-02")
@pytest.mark.parametrize(
    "said",
    [
        {"requestState": "forged"},
        {
            "requestState": "",
            "inputResponses": {"approval": {"action": "accept", "content": {"approve": True}}},
        },
        {"requestState": 7},
        {"inputResponses": {"approval": "yes"}},
    ],
)
async def test_what_comes_back_with_a_repeated_call_is_not_believed(tmp_path, said):
    async with gateway_world(tmp_path, "crm", page=PAGE, limits=SOON) as world:
        world.mandate("crm.note")
        body = modern("tools/call", {"name": "note_add", "arguments": NOTE, **said})
        answer = await world.post("crm", body, **modern_headers("tools/call", "note_add"))
        assert "result" not in answer.json() or answer.json()["result"].get("isError"), answer.text
        assert notes(world) == 0


@pytest.mark.requirement("ASKING-01")
async def test_an_earlier_client_is_told_in_the_way_of_its_revision(tmp_path):
    async with gateway_world(tmp_path, "crm", page=PAGE) as world:
        world.mandate("crm.note")
        async with world.client(
            "crm", mode="legacy", elicitation_callback=Person(world, answers=False)
        ) as client:
            with pytest.raises(MCPError) as told:
                await client.call_tool("note_add", NOTE)
            assert told.value.code == -32042
            (asked,) = told.value.data["elicitations"]
            assert (asked["mode"], asked["url"]) == ("url", f"{PAGE}/approvals/{asked['elicitationId']}")
            approve(world, asked["elicitationId"])
            assert not (await client.call_tool("note_add", NOTE)).is_error
        assert notes(world) == 1


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
@pytest.mark.requirement("ASKING-03")
async def test_a_call_with_progress_waits_and_then_runs(tmp_path, mode, monkeypatch):
    monkeypatch.setattr(holding, "PROGRESS_SECONDS", 0.1)
    async with gateway_world(tmp_path, "crm", page=PAGE) as world:
        world.mandate("crm.note")
        heard: list[str] = []

        async def progress(_done: float, _of: float | None, message: str | None) -> None:
            heard.append(message or "")
            if len(heard) == 2:
                approve(world, heard[0].rpartition(" ")[2])

        async with world.client("crm", mode=mode) as client:
            with anyio.fail_after(20):
                done = await client.call_tool("note_add", NOTE, progress_callback=progress)
        assert not done.is_error
        assert all(one.startswith("waiting for approval ") for one in heard[:2])
        assert notes(world) == 1


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
@pytest.mark.requirement("ASKING-03")
async def test_where_nobody_answers_in_time_the_client_may_ask_again(tmp_path, mode):
    async with gateway_world(tmp_path, "crm", page=PAGE, limits=SOON) as world:
        world.mandate("crm.note")

        async def progress(*_: object) -> None:
            """It is enough to be asked for."""

        async with world.client("crm", mode=mode) as client:
            first = await client.call_tool("note_add", NOTE, progress_callback=progress)
            assert first.is_error
            approval = first.structured_content["approvalId"]
            assert (await client.call_tool("note_add", NOTE)).structured_content["approvalId"] == approval
            approve(world, approval)
            assert not (await client.call_tool("note_add", NOTE)).is_error
        assert notes(world) == 1


@pytest.mark.requirement("ASKING-01")
async def test_without_a_page_nobody_is_sent_anywhere(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        world.mandate("crm.note")
        async with world.client("crm", elicitation_callback=Person(world, answers=False)) as client:
            assert (await client.call_tool("note_add", NOTE)).is_error
