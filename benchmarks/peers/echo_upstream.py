"""The upstream of the gateway benchmark: one small tool, written with the SDK's usual server.

`echo_upstream.py stdio`, or `echo_upstream.py http`, which prints its port when it listens.
"""

from __future__ import annotations

import sys

from mcp.server.mcpserver import MCPServer
from peer_server import serve

server = MCPServer("crm", log_level="ERROR")


@server.tool()
def customer_read(case_id: str, fields: list[str], limit: int) -> str:
    """Read a customer of a case."""
    return f"{case_id}: {', '.join(fields[:limit])}"


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run("stdio")
    else:
        serve(server.streamable_http_app(json_response=True))
