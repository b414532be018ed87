"""Our SDK against token service and gateway of a real `answerable up`, over TCP, as an agent elsewhere would."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from answerable.core.canonical import encode
from answerable.core.mandate import oauth_terms
from answerable.errors import Refused
from answerable.sdk.client_identity import PrivateKeyClient
from answerable.sdk.discovery import ServerMetadata
from answerable.sdk.oauth_http import OAuthHttp, open_oauth_client
from answerable.sdk.resource_tokens import ResourceTokens
from answerable.sdk.token_auth import DPoPAuth
from answerable.sdk.token_client import AccessToken, TokenClient, TokenExchange
from tests.worlds.shard_house import House, Shard, made_house, until
from tests.worlds.token_server import KEY, PRIVATE_JWK

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[2] / "docs/how-to/call-a-server-with-tokens.md"


@pytest.fixture(scope="module")
def running():
    with made_house() as house:
        registry = house.world.registry / "registry.yaml"
        # Known by a key, and by nothing that the kernel says: whoever calls over TCP has to prove it.
        text = registry.read_text()
        start = text.index("unixUids")
        end = text.index("\n", start)
        registry.write_text(f"{text[:start]}keyFile: support.pub.jwk{text[end:]}")
        (house.world.registry / "support.pub.jwk").write_text(KEY.public.jwk)
        house.command("a", "apply", "-f", str(house.world.registry))
        with house.up("a") as shard:
            yield house, shard


def address(shard: Shard) -> str:
    (line,) = [line for line in shard.said().splitlines() if line.startswith("gateway ")]
    return line.split()[1].removesuffix("/mcp/<server>")


@asynccontextmanager
async def agent(house: House, shard: Shard, mandate: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the agent that turns this mandate into tokens."""
    issuer = address(shard)
    async with open_oauth_client() as client:
        http = OAuthHttp(client)

        async def obtain(server: ServerMetadata, *, resource: str, scope: str) -> AccessToken:
            tokens = TokenClient(server, PrivateKeyClient("support-agent", KEY), http=http, key=KEY)
            return await tokens.exchange(
                TokenExchange(
                    subject_token=mandate,
                    subject_token_type=oauth_terms.TYPE_MANDATE,
                    resource=resource,
                    scope=scope or "crm.read",
                )
            )

        tokens = ResourceTokens(
            f"{issuer}/mcp/crm", http=http, trusts=lambda one: one == issuer, obtain=obtain
        )
        async with httpx2.AsyncClient(auth=DPoPAuth(tokens, KEY), trust_env=False, timeout=30) as caller:
            yield caller


@pytest.mark.requirement("CONF-11")
async def test_an_agent_turns_its_mandate_into_a_bound_token_and_acts_with_it(running):
    house, shard = running
    mandate = house.issue("a")
    until(lambda: '"up"' in house.command("a", "status", "--json").stdout, "the upstream")
    async with agent(house, shard, mandate) as caller:
        transport = streamable_http_client(f"{address(shard)}/mcp/crm", http_client=caller)
        async with Client(transport, mode="2026-07-28", cache=None) as mcp:
            done = await mcp.session.call_tool("customer_read", {"case_id": "4711"})
            assert not done.is_error, done
            refused = await mcp.session.call_tool("customer_read", {"case_id": "4712"})
            assert refused.is_error


@pytest.mark.requirement("CONF-12")
async def test_the_gateway_gives_one_nonce_with_every_answer_to_whoever_shows_a_token(running):
    house, shard = running
    mandate = house.issue("a")
    nonces: list[tuple[int, int]] = []

    async def counted(response: httpx2.Response) -> None:
        if "dpop" in response.request.headers:
            nonces.append((response.status_code, len(response.headers.get_list("dpop-nonce", True))))

    async with agent(house, shard, mandate) as caller:
        caller.event_hooks = {"response": [counted]}
        for _ in range(2):
            await caller.post(f"{address(shard)}/mcp/crm", content=b"{}")
    # The first proof has no nonce yet, the others have; that the body has no type is said after the proof.
    assert nonces == [(401, 1), (415, 1), (415, 1)]


@pytest.mark.requirement("CONF-11")
async def test_a_mandate_that_is_not_the_agents_gives_no_token(running):
    house, shard = running
    async with agent(house, shard, "0" * 26) as caller:
        with pytest.raises(Refused) as caught:
            await caller.post(f"{address(shard)}/mcp/crm", json={})
    assert caught.value.reasons[0] == "invalid_grant"


@pytest.mark.requirement("CONF-11")
async def test_the_page_on_calling_a_server_with_tokens_does_what_it_says(running, tmp_path, monkeypatch):
    house, shard = running
    (tmp_path / "support-agent.jwk").touch(mode=0o600)
    (tmp_path / "support-agent.jwk").write_bytes(encode(PRIVATE_JWK))
    monkeypatch.chdir(tmp_path)
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    page: dict[str, Any] = {}
    exec(compile(found[1], str(PAGE), "exec"), page)  # noqa: S102 - our own page
    page.update(ISSUER=address(shard), SERVER=f"{address(shard)}/mcp/crm")
    assert not (await page["read"](house.issue("a"))).is_error
