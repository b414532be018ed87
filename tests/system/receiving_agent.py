"""An agent to which another one hands on: it tells its key, waits for the chain, and reads by it some times.

Takes a FOLDER: the key is written there as `key.jwk`, and the chain is expected as `chain`.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

PLACE = Path(sys.argv[1])
PATH = os.environ["ANSWERABLE_GATEWAY"].removeprefix("unix:")


def handle(**fields: str) -> httpx2.AsyncClient:
    named = {name.replace("_", "-"): text for name, text in fields.items()}
    transport = httpx2.AsyncHTTPTransport(uds=PATH)
    return httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=20, headers=named)


async def told() -> None:
    async with handle() as http:
        instance = (await http.get("/instance")).json()
        (PLACE / "key.new").write_text(json.dumps(instance["key"]))
        (PLACE / "key.new").rename(PLACE / "key.jwk")


async def worked() -> None:
    async with handle() as http:
        chain = (PLACE / "chain").read_text()
        kept = await http.post("/tasks", json={"name": "case", "delegation": chain})
        say: dict[str, Any] = {"task": kept.json(), "read": []}
    async with (
        handle(answerable_task="case") as http,
        Client(
            streamable_http_client("http://localhost/mcp/crm", http_client=http),
            mode="2026-07-28",
            cache=None,
        ) as client,
    ):
        say["tools"] = [one.name for one in (await client.list_tools()).tools]
        for _ in range(3):
            answer = await client.call_tool("customer_read", {"case_id": "4711"})
            say["read"].append(answer.structured_content or [one.text for one in answer.content])
    print(json.dumps(say), flush=True)


anyio.run(told)
ends = time.monotonic() + 60
while not (PLACE / "chain").exists() and time.monotonic() < ends:
    time.sleep(0.05)
anyio.run(worked)
