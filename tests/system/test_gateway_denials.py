"""What an MCP client of either era hears when people say no, through the real gateway."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from answerable.apps.mcp_gateway import holding
from answerable.core.identity.names.principal import PrincipalId
from answerable.flows.approval.answer_approval import answer_approval
from answerable.sdk.denial import DeniedByPeople, raise_if_denied
from answerable.sdk.signing import signed_answer
from answerable.testing.builders import nonce_for
from answerable.testing.samples import signing_key
from tests.worlds.gateway import World, gateway_world

pytestmark = pytest.mark.anyio
NOTE: Any = {"case_id": "4711", "text": "called back"}


async def deny(world: World, **words: str) -> str:
    """Bob says no to what waits; the id of it."""
    walk = world.walk
    (found,) = walk.authority.approvals.all(pending_only=True, now=walk.clock.now())
    token = signed_answer(
        found,
        nonce=nonce_for(walk.asking.openings, walk.clock, walk.entropy, found),
        by=PrincipalId("bob"),
        verdict="deny",
        audience=walk.recorder.ledger.origin,
        at=walk.clock.now(),
        key=signing_key("bob"),
        **words,
    )
    await answer_approval(walk.recorder, walk.authority, walk.asking, walk.counters, found.id, token)
    return found.id


@pytest.mark.requirement("REPLY-03", "REPLY-04")
@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
async def test_a_client_that_waits_gets_the_no_with_its_reason_in_the_same_call(tmp_path, mode, monkeypatch):
    monkeypatch.setattr(holding, "PROGRESS_SECONDS", 0.1)
    async with gateway_world(tmp_path, "crm") as world:
        world.mandate("crm.note")
        denied: list[str] = []

        async def progress(*_: object) -> None:
            if not denied:
                denied.append(
                    await deny(world, reason="needs_more_information", comment="whose\ncase?\u202e")
                )

        async with world.client("crm", mode=mode) as client:
            with anyio.fail_after(60):
                done = await client.call_tool("note_add", NOTE, progress_callback=progress)
            again = await client.call_tool("note_add", NOTE)
        for result in (done, again):
            assert result.is_error
            with pytest.raises(DeniedByPeople) as told:
                raise_if_denied(result.structured_content)
            said = told.value.said
            assert (said.approval, said.reason, said.retry) == (denied[0], "needs_more_information", "later")
            assert said.comment == "whose\\u{a}case?\\u{202e}"
            assert said.groups == ("approvers",)
            assert "say more first" in result.content[0].text
            assert "bob" not in result.model_dump_json()
