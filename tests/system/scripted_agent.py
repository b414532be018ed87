"""An agent without a key: it has the address of a handle, and writes down what it gets.

Takes FILE and what to do, in order: `act` over plain HTTP, `act:MODE` by an MCP client that speaks so, `sub`,
`wait:FILE` (until it is there), `sub-wait:FILE` (the same with a sub-agent, which acts then), `exit:CODE`,
`environment`, `try` (act, or be told why not), `stop` and `stop:agent`, `sub-stop` (a sub-agent stops itself),
`sub-try` (ask for a sub-agent).
"""

import json
import os
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2

FOUND: list[Any] = []


def handle_of(address: str) -> httpx2.AsyncClient:
    transport = httpx2.AsyncHTTPTransport(uds=address.removeprefix("unix:"))
    return httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=20)


@asynccontextmanager
async def client_of(address: str, mode: str):
    # Here, as it takes longer to read than all else that an agent does.
    from mcp.client.client import Client
    from mcp.client.streamable_http import streamable_http_client

    async with (
        handle_of(address) as http,
        Client(
            streamable_http_client("http://localhost/mcp/crm", http_client=http), mode=mode, cache=None
        ) as client,
    ):
        yield client


async def act(address: str, mode: str = "") -> Any:
    if not mode:
        return await asked(address)
    async with client_of(address, mode) as client:
        answer = await client.call_tool("customer_read", {"case_id": "4711"})
        return answer.structured_content or [one.text for one in answer.content]


async def asked(address: str) -> Any:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "customer_read", "arguments": {"case_id": "4711"}, "_meta": meta}
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "customer_read",
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    async with handle_of(address) as http:
        told = (await http.post("/mcp/crm", json=body, headers=headers)).json()
    if "error" in told:
        raise RuntimeError(told["error"]["message"])
    return told["result"].get("structuredContent") or [one["text"] for one in told["result"]["content"]]


async def attempt(address: str) -> Any:
    try:
        return await act(address)
    except Exception as failed:
        inner: Any = failed
        while isinstance(inner, BaseExceptionGroup):
            inner = inner.exceptions[0]
        return {"refused": str(inner)}


async def main() -> None:
    address = os.environ["ANSWERABLE_GATEWAY"]
    for step in sys.argv[2:]:
        name, _, argument = step.partition(":")
        match name:
            case "act":
                FOUND.append(await act(address, argument))
            case "sub":
                async with handle_of(address) as http:
                    made = (await http.post("/sub-agents")).json()
                    FOUND.append(made)
                FOUND.append(await act(made["gateway"]))
                async with handle_of(made["gateway"]) as http:
                    FOUND.append((await http.post("/sub-agents")).status_code)
                    FOUND.append((await http.delete("/instance")).json())
            case "sub-wait":
                async with handle_of(address) as http:
                    made = (await http.post("/sub-agents")).json()
                waited(address, Path(argument))
                FOUND.append(await act(made["gateway"]))
            case "try":
                FOUND.append(await attempt(address))
            case "stop":
                async with handle_of(address) as http:
                    answer = await http.post(f"/stop/{argument}" if argument else "/stop")
                    FOUND.append({"status": answer.status_code, **answer.json()})
            case "sub-stop":
                async with handle_of(address) as http:
                    made = (await http.post("/sub-agents")).json()
                async with handle_of(made["gateway"]) as http:
                    FOUND.append({"instance": made["instance"], **(await http.post("/stop")).json()})
                FOUND.append(await attempt(made["gateway"]))
            case "sub-try":
                async with handle_of(address) as http:
                    answer = await http.post("/sub-agents")
                    FOUND.append({"status": answer.status_code, "code": answer.json().get("code")})
            case "who":
                async with handle_of(address) as http:
                    FOUND.append((await http.get("/instance")).json())
            case "sign":
                async with handle_of(address) as http:
                    tried = [
                        await http.post("/sign", content=b"bytes of my choice"),
                        await http.post("/mcp/crm", content=b"bytes of my choice"),
                        await http.post("/identity/v1/end", json={}),
                        await http.post("/session", json={}),
                        await http.get("/mcp/crm?x=1"),
                    ]
                    FOUND.append([one.status_code for one in tried])
            case "environment":
                FOUND.append({"env": dict(os.environ), "argv": sys.argv, "ppid": os.getppid()})
            case "dump":
                FOUND.append(memory_of(os.getppid()))
            case "wait":
                waited(address, Path(argument))
            case "exit":
                written()
                os._exit(int(argument))
    written()


def memory_of(pid: int) -> str:
    try:
        os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY))
    except OSError as error:
        return type(error).__name__
    return "opened"


def waited(address: str, until: Path) -> None:
    Path(sys.argv[1]).with_suffix(".waiting").write_text(address)
    while not until.exists():
        time.sleep(0.02)


def written() -> None:
    Path(sys.argv[1]).write_text(json.dumps(FOUND))


anyio.run(main)
