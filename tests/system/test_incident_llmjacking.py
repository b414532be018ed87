"""S-02: somebody who has an agent's identity asks models as much as they let (LLMjacking, 2024 onward)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from answerable.core.identity.keys.keys import SigningKey
from answerable.core.ledger.tags import Tag
from answerable.sdk.keyfile import create_key, public_jwk
from tests.attack.test_http_requests import command_lines
from tests.stand_ins.model_provider_stand_in import StandIn, deputy_validity
from tests.worlds.brokered import Desk
from tests.worlds.brokered_http import MODELS
from tests.worlds.incident import (
    ALL,
    OWNERSHIP,
    an_agent,
    capability,
    document,
    files_of,
    incident,
    issued,
    people,
    template,
    was_done,
)
from tests.worlds.model_provider import ASKED, KEY

pytestmark = pytest.mark.anyio
TOKENS, CENTS = 1_000, 300
MOST: dict[str, Any] = {**ASKED, "tokens_max": 700, "cost_max": 20}
CALLERS, EACH, MORE_MAX = 4, 4, 30


@pytest.fixture
def provider() -> Iterator[StandIn]:
    with deputy_validity(KEY) as running:
        yield running


def documents() -> str:
    chat = {
        "kind": "execute",
        "resource": {"type": "Model", "argument": "model"},
        "arguments": [
            {"name": "model", "type": "string", "required": True},
            {"name": "tokens_max", "type": "integer", "required": True},
            {"name": "cost_max", "type": "minor_units", "required": True},
        ],
        "openMembers": ["messages", "max_tokens"],
        "amount": {"argument": "cost_max", "currency": "USD"},
        "reserves": {"tokens": {"argument": "tokens_max"}},
        "measures": {"tokens": "/usage/total_tokens", "money": "/cost/minor_units"},
        "lease": {"grants": {"models": ["small-1"], "max_tokens": 50}},
    }
    lists = {
        "kind": "read",
        "resource": {"type": "Provider", "fixed": "models"},
        "amount": {"fixed": 0},
        "reserves": {"tokens": 0},
        "lease": {"grants": {"models": ["small-1"]}},
    }
    rover = {
        "useCase": "support",
        "environment": "production",
        "keyFile": "rover.pub.jwk",
        "ownership": OWNERSHIP,
    }
    asks = {
        "grants": [{"capability": "models.chat", "resources": ["small-1"]}, {"capability": "models.list"}],
        "budgets": {"tokens": TOKENS, "money:USD": CENTS},
    }
    return (
        people()
        + document("Server", "models", target="models", vendor="thinkers")
        + document("Agent", "rover", **rover)
        + capability("models.chat", "models", "chat", **chat)
        + capability("models.list", "models", "list_models", **lists)
        + template(**asks)
        + template(**asks, name="roving", agent="rover")
        + document("PolicySet", "all", policies=ALL)
    )


class Elsewhere(Desk):
    """As another machine asks."""

    @property
    def gateway(self) -> str:
        return self.home.tcp


@pytest.mark.requirement("SCEN7-02")
async def test_a_stolen_identity_asks_no_more_than_its_mandate_has_left_and_holds_no_key(tmp_path, provider):
    rover = create_key(tmp_path / "rover.jwk", seed=os.urandom(32))
    (tmp_path / "rover.pub.jwk").write_text(public_jwk(rover))
    targets = {"models.toml": MODELS.format(provider=provider.url), "provider-key": KEY}
    async with incident(tmp_path, targets, documents()) as found:
        own, stolen = found.desk("models"), Elsewhere(found.home, found.mandate, "models")
        key = await an_agent(own)
        said = [await own.does_call(key, "chat", **MOST)]
        assert was_done(said[0]), said[0]["text"]
        # 2. Whoever took its key, and comes from elsewhere, finds one model and asks no other.
        said.append(await stolen.does_call(key, "list_models"))
        assert [one["model"] for one in said[-1]["result"]["structuredContent"]["models"]] == ["small-1"]
        for other in ("large-1", "small-1 large-1", "small-1\u200b"):
            said.append(await stolen.does_call(key, "chat", **{**MOST, "model": other}))
            assert not was_done(said[-1])
        assert len(chats(provider)) == 1
        # 3. They ask as fast as they can, with what is left.
        flood = await asked_on_and_on(stolen, key)
        done = [one for one in (said[0], *flood) if was_done(one)]
        assert not was_done(flood[-1])
        assert "budget" in flood[-1]["text"]
        assert len(done) > CALLERS
        assert len(chats(provider)) == len(done), "nothing is sent that the mandate has not left"
        found_in = [one["result"]["structuredContent"] for one in done]
        tokens = sum(one["usage"]["total_tokens"] for one in found_in)
        cents = sum(one["cost"]["minor_units"] for one in found_in)
        assert (tokens <= TOKENS, cents <= CENTS) == (True, True)
        assert {body["model"] for _, body in chats(provider)} == {"small-1"}
        # Others go on.
        roving = Desk(found.home, await issued(found.home, "roving"), "models")
        said.append(await roving.does_call(rover, "chat", **MOST))
        assert was_done(said[-1]), said[-1]["text"]
        # What the mandate spent, and when it was refused first.
        shown = await own.command("mandate", "show", found.mandate, "--json")
        assert shown["budgets"] == {
            "tokens": {"used": tokens, "limit": TOKENS},
            "money:USD": {"used": cents, "limit": CENTS},
        }
        story = (await own.command("timeline", found.mandate, "--json"))["lines"]
        first = next(one for one in story if one["kind"] == "refusal")
        assert "large-1" in first["text"]
        assert first["at"]
        # Whatever the agent holds or sees opens nothing at the provider.
        leases = await own.command("lease", "list", "--ended", "--json")
        held = [shown["token"], found.mandate, *(one["name"] for one in leases[:3]), leases[0]["account"]]
        held += [one["result"]["_meta"]["answerable/action"] for one in done[:2]]
        assert {await asks_directly(provider, one) for one in held if one} == {401}
        seen = "".join(one["text"] for one in (*said, *flood))
        await found.home.stop(signal.SIGTERM)
        files = files_of(found.home.data)
        kept = b"".join(content for path, content in files.items() if path.name != "provider-key")
        assert KEY.encode() not in kept
        assert KEY not in seen + found.home.said + "".join(command_lines())
        # Every request that the provider counted is an action on record, and the other way round.
        counted = {headers["x-client-request-id"] for headers, _ in chats(provider)}
        begun = {
            one["action"] for one in found.home.entries(Tag.INTENT) if one["capability"] == "models.chat"
        }
        ended = {one["action"] for one in found.home.entries(Tag.OUTCOME) if one["status"] == "succeeded"}
        assert counted == begun & ended


def chats(provider: StandIn) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """What the provider was asked to write, as it counted."""
    return [(headers, body) for path, headers, body in provider.asked if path.endswith("/chat/completions")]


async def asked_on_and_on(desk: Desk, key: SigningKey) -> list[dict[str, Any]]:
    """By several at a time, who do not listen to what they are told, and then by one until it is refused."""

    async def caller() -> list[dict[str, Any]]:
        return [await desk.does_call(key, "chat", **MOST) for _ in range(EACH)]

    told = await asyncio.gather(*(caller() for _ in range(CALLERS)))
    found = [one for some in told for one in some]
    for _ in range(MORE_MAX):
        found.append(await desk.does_call(key, "chat", **MOST))
        if not was_done(found[-1]):
            break
    return found


async def asks_directly(provider: StandIn, secret: str) -> int:
    """The provider, with this in place of its key."""
    body = {name: value for name, value in MOST.items() if name in ASKED}
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        headers = {"authorization": f"Bearer {secret}"}
        answer = await client.post(f"{provider.url}/chat/completions", json=body, headers=headers)
    provider.asked.pop()
    return answer.status_code
