"""An agent under `answerable agent up` that asks its handle for a sub-agent whenever a line comes in.

It says what came of it, one JSON line each.
"""

import asyncio
import json
import os
import sys

import httpx2


async def main() -> None:
    path = os.environ["ANSWERABLE_GATEWAY"].removeprefix("unix:")
    transport = httpx2.AsyncHTTPTransport(uds=path, trust_env=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as http:
        mine = (await http.get("/instance")).json()
        print(
            json.dumps({"event": "ready", "instance": mine["instance"], "source": mine["source"]}), flush=True
        )
        while await asyncio.to_thread(sys.stdin.readline):
            answer = await http.post("/sub-agents")
            found = answer.json()
            told = {"event": "sub", "status": answer.status_code, "instance": found.get("instance", "")}
            print(json.dumps(told | {"code": found.get("code", "")}), flush=True)


asyncio.run(main())
