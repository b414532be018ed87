"""What an agent does with a task that came in, whatever it came over; runs in the environment of the SDKs of others.

It takes work seriously that has no chain, as a careless agent would, so that it is the gateway that says no.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from answerable.core.mandate.delegation_chain import split_chain
from answerable.core.mandate.hop_token import read_hop
from answerable.errors import AnswerableError
from answerable.sdk.delegation import Narrowing, Receiver, exchange_part, hand_on, token_for
from answerable.sdk.delegation_transport import fields_for, received
from answerable.sdk.keyfile import load_key
from answerable.sdk.proof_auth import SignatureAuth

PLACE: dict[str, Any] = json.loads(os.environ["HANDED_WORK"])
"""gateway: base URL. keys: folder of key files. mandate: its id. agent: who this is."""
GATEWAY: str = PLACE["gateway"]


def key_of(agent: str) -> Any:
    return load_key(Path(PLACE["keys"]) / f"{agent}.jwk")


async def handed_to(agent: str) -> str:
    """The orchestrator's token, and below it a part for another agent, signed by the orchestrator alone."""
    ours = key_of("orchestrator")
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        root = await token_for(http, GATEWAY, mandate=PLACE["mandate"], auth=ours)
    receiver = Receiver(agent=agent, key=key_of(agent).public)
    return hand_on(root, receiver, Narrowing(scopes=("crm.read",)), key=ours)


async def done(chain: str, case: str) -> dict[str, Any]:
    """Read a case by what came: exchanged for a token of our own, under which we act. What went wrong is told."""
    key = key_of(PLACE["agent"])
    if chain:
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
            chain = await exchange_part(http, GATEWAY, chain=received(chain, key.public), auth=key)
    shown = {"hops": [read_hop(one).agent for one in split_chain(chain)]} if chain else {}
    headers = fields_for(chain) if chain else {}
    async with (
        httpx2.AsyncClient(trust_env=False, timeout=30, auth=SignatureAuth(key), headers=headers) as http,
        Client(
            streamable_http_client(f"{GATEWAY}/mcp/crm", http_client=http), mode="2026-07-28", cache=None
        ) as client,
    ):
        answer = await client.call_tool("customer_read", {"case_id": case})
    told = [one.text for one in answer.content if hasattr(one, "text")]
    return {"denied": told, **shown} if answer.is_error else {"read": answer.structured_content, **shown}


def fault(error: AnswerableError) -> dict[str, Any]:
    return {"code": error.code, "detail": error.message}
