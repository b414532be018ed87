"""fastmcp's proxy doing nothing, in both forms it is used in.

`fastmcp_proxy.py usual UPSTREAM` is made from a configuration and opens an upstream session per call;
`fastmcp_proxy.py connected UPSTREAM` is made from one connected client. UPSTREAM: a URL or `stdio`. Prints its port.
"""

from __future__ import annotations

import sys
from typing import Any

import fastmcp
import uvloop
from fastmcp.server import create_proxy
from peer_server import serve_here
from upstream_argument import ECHO


def configuration(upstream: str) -> dict[str, Any]:
    """An `mcpServers` document, as for every client."""
    entry = {"command": ECHO[0], "args": ECHO[1:]} if upstream == "stdio" else {"url": upstream}
    return {"mcpServers": {"crm": entry}}


def app_of(proxy: Any) -> Any:
    """JSON answers, as every row of the benchmark has them."""
    return proxy.http_app(path="/mcp", json_response=True, stateless_http=True)


async def main(kind: str, upstream: str) -> None:
    """Serve until SIGTERM."""
    if kind == "usual":
        await serve_here(app_of(create_proxy(configuration(upstream), name="idle")))
        return
    async with fastmcp.Client(configuration(upstream)) as client:
        await serve_here(app_of(create_proxy(client, name="idle")))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2]))
