"""A task of the agent scout on a real server, and a call of it that waits for people."""

from __future__ import annotations

import time

import httpx2

from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.mandate.mandate import Grant, MandateId, MandateTerms
from answerable.sdk.gateway_address import open_client
from answerable.sdk.proof_auth import SignatureAuth
from answerable.sdk.signing import signed_mandate
from answerable.testing.samples import signing_key
from tests.worlds.gateway import modern, modern_headers
from tests.worlds.up import House

MANDATE = "m-1"


async def give_task(home: House, *, principal: str = "alice") -> None:
    """Alice lets scout add notes for an hour."""
    transport = httpx2.AsyncHTTPTransport(uds=str(home.data / "control.sock"))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=30) as control:
        origin = (await control.get("/v1/ledger")).json()["origin"]
        now = time.time_ns() // 1_000_000
        terms = MandateTerms(
            id=MandateId(MANDATE), principal=PrincipalId(principal), agent=AgentId("scout"), use_case="support",
            purpose="Note what customers said", grants=(Grant(capability="crm.note"),), caveats=(), calls_max=100,
            not_before=UnixMillis(now), expires_at=UnixMillis(now + 3_600_000),
        )  # fmt: skip
        token = signed_mandate(terms, audience=origin, key=signing_key(principal))
        answer = await control.post("/v1/mandates", json={"token": token})
        assert answer.status_code == 200, answer.text


async def noted(home: House, text: str) -> str:
    """The agent adds a note; what it is answered."""
    auth = SignatureAuth(signing_key("scout"), mandate=MANDATE)
    client, base = open_client(f"unix:{home.data / 'gateway.sock'}", auth)
    call = {"name": "note_add", "arguments": {"case_id": "4711", "text": text}}
    headers = {name.replace("_", "-"): one for name, one in modern_headers("tools/call", "note_add").items()}
    headers |= {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    async with client:
        return (
            await client.post(f"{base}/mcp/crm", content=modern("tools/call", call), headers=headers)
        ).text
