"""An agent under `answerable agent up` that reads a case, adds a note to it, asks for a sub-agent, and tells."""

import json
import os
from typing import Any

import anyio
import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

PATH = os.environ["ANSWERABLE_GATEWAY"].removeprefix("unix:")


def handle() -> httpx2.AsyncClient:
    transport = httpx2.AsyncHTTPTransport(uds=PATH, trust_env=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=60)


async def called(tool: str, **arguments: str) -> Any:
    async with (
        handle() as http,
        Client(
            streamable_http_client("http://localhost/mcp/crm", http_client=http),
            mode="2026-07-28",
            cache=None,
        ) as client,
    ):
        answer = await client.call_tool(tool, arguments)
        texts = [one.text for one in answer.content if hasattr(one, "text")]
        return {"refused": bool(answer.is_error), "text": " ".join(texts)}


async def main() -> None:
    async with handle() as http:
        say = {"who": (await http.get("/instance")).json()}
        say["read"] = await called("customer_read", case_id="4711")
        say["noted"] = await called("note_add", case_id="4711", text="Read.")
        say["sub"] = (await http.post("/sub-agents")).json()
    print(json.dumps(say), flush=True)


anyio.run(main)
