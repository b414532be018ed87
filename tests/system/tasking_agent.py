"""An agent that works under tasks: it has the address of a handle, names tasks there, hands one on, and tells.

Takes FILE with the mandate's id and the receiver's public JWK.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

WORK = json.loads(Path(sys.argv[1]).read_text())
EXTENSION = "urn:answerable:a2a:extension:delegation:1"
PATH = os.environ["ANSWERABLE_GATEWAY"].removeprefix("unix:")


def handle(**fields: str) -> httpx2.AsyncClient:
    transport = httpx2.AsyncHTTPTransport(uds=PATH)
    return httpx2.AsyncClient(
        transport=transport,
        base_url="http://localhost",
        timeout=20,
        headers={name.replace("_", "-"): text for name, text in fields.items()},
    )


async def read(case: str, **fields: str) -> Any:
    async with (
        handle(**fields) as http,
        Client(
            streamable_http_client("http://localhost/mcp/crm", http_client=http),
            mode="2026-07-28",
            cache=None,
        ) as client,
    ):
        answer = await client.call_tool("customer_read", {"case_id": case})
        return answer.structured_content or [one.text for one in answer.content]


async def raw(http: httpx2.AsyncClient, **fields: str) -> tuple[int, str]:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    named = {name.replace("_", "-"): text for name, text in fields.items()}
    answer = await http.post("/mcp/crm", json=message, headers=named)
    return answer.status_code, answer.text


async def main() -> None:
    async with handle() as http:
        say = {"who": (await http.get("/instance")).json()}
        task = await http.post("/tasks", json={"name": "cases", "mandate": WORK["mandate"]})
        say["task"] = task.json()
        say["read"] = await read("4711", answerable_task="cases")
        to = {"agent": "writer", "key": WORK["key"]}
        bounds = [{"key": "resource:crm.customer-read", "one_of": ["4711"]}]
        handed = await http.post(
            "/delegations", json={"task": "cases", "to": to, "constraints": bounds, "seconds": 120}
        )
        say["handed"] = handed.json()
        chain = handed.json().get("delegation", "")
        loose = [{"key": "calls", "max_subtree": 1000}]
        message = {"metadata": {"answerable/delegation": chain}, "extensions": [EXTENSION]}
        own = {"agent": "scout", "key": say["who"]["key"]}
        back = (await http.post("/delegations", json={"task": "cases", "to": own})).json()["delegation"]
        arrived = {"metadata": {"answerable/delegation": back}, "extensions": [EXTENSION]}
        say["arrived"] = [
            (await http.post("/tasks", json={"name": "back", "message": arrived})).json(),
            (
                await http.post("/tasks", json={"name": "back", "headers": {"answerable-delegation": back}})
            ).json(),
            (await http.request("DELETE", "/tasks/back")).json(),
        ]
        refused = [
            await http.post("/delegations", json={"task": "cases", "to": to, "constraints": loose}),
            await http.post("/delegations", json={"task": "cases", "to": to, "scopes": []}),
            await http.post("/delegations", json={"task": "cases", "to": to, "seconds": 4000}),
            await http.post("/delegations", json={"task": "cases", "to": to, "claims": {"sub": "eve"}}),
            await http.post("/delegations", json={"task": "none", "to": to}),
            await http.post("/tasks", json={"name": "stolen", "delegation": chain}),
            await http.post("/tasks", json={"name": "stolen", "message": message}),
            await http.post("/tasks", json={"name": "stolen", "headers": {"Answerable-Delegation": chain}}),
            await http.post("/tasks", json={"name": "lost", "message": {"metadata": {}}}),
            await http.post("/tasks", json={"name": "lost", "message": {**message, "extensions": []}}),
            await http.post("/tasks", json={"name": "lost", "message": message, "headers": {}}),
            await http.post("/tasks", json={"name": "no", "mandate": "unknown"}),
            await http.post("/tasks", json={"name": "../x", "mandate": WORK["mandate"]}),
            await http.put("/tasks", json={}),
        ]
        say["refused"] = [(one.status_code, one.json()["code"]) for one in refused]
        say["messages"] = [
            await raw(http, answerable_task="none"),
            await raw(http, answerable_delegation=chain),
            await raw(http, answerable_task="cases", answerable_delegation=chain),
        ]
        say["tasks"] = (await http.get("/tasks")).json()
        say["forgotten"] = (await http.request("DELETE", "/tasks/cases")).json()
        say["after"] = await raw(http, answerable_task="cases")
    print(json.dumps(say), flush=True)


anyio.run(main)
