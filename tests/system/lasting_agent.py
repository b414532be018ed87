"""An agent that works until its input ends. Takes FILE with the mandate's id and the receiver's public JWK.

`read CASE` calls the CRM through its handle · `call SERVER TOOL` something else · `hand` hands the task on, and says
the chain. JSON lines.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx2

WORK = json.loads(Path(sys.argv[1]).read_text())
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "lasting", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


async def call(
    http: httpx2.AsyncClient, case: str, server: str = "crm", tool: str = "customer_read"
) -> dict[str, Any]:
    params = {"name": tool, "arguments": {"case_id": case}, "_meta": META}
    answer = await http.post(
        f"/mcp/{server}",
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
        headers={
            "accept": "application/json, text/event-stream",
            "answerable-task": "cases",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/call",
            "mcp-name": tool,
        },
    )
    return {"status": answer.status_code, "text": answer.text}


async def hand(http: httpx2.AsyncClient) -> dict[str, Any]:
    bounds = [{"key": "resource:crm.customer-read", "one_of": ["4711"]}]
    body = {
        "task": "cases",
        "to": {"agent": "writer", "key": WORK["key"]},
        "constraints": bounds,
        "seconds": 290,
    }
    answer = await http.post("/delegations", json=body)
    return {"status": answer.status_code, **answer.json()}


async def main() -> None:
    path = os.environ["ANSWERABLE_GATEWAY"].removeprefix("unix:")
    transport = httpx2.AsyncHTTPTransport(uds=path)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as http:
        mine = (await http.get("/instance")).json()
        task = await http.post("/tasks", json={"name": "cases", "mandate": WORK["mandate"]})
        print(json.dumps({"instance": mine["instance"], "status": task.status_code}), flush=True)
        while line := (await asyncio.to_thread(sys.stdin.readline)).split():
            if line[0] == "hand":
                said = await hand(http)
            else:
                said = await (call(http, line[1]) if line[0] == "read" else call(http, "4711", *line[1:]))
            print(json.dumps(said), flush=True)


asyncio.run(main())
