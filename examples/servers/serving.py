"""What the three example servers share: their flags, their database file and their two transports.

Nothing here belongs to Answerable. These servers stand for systems that an organisation already
runs, so they know nothing of mandates, policies or the gateway in front of them.
"""

import argparse
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
ADDS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
)
LOCK_WAIT_SECONDS_MAX = 5.0
STOP_WAIT_SECONDS_MAX = 1


def flags(description: str) -> argparse.ArgumentParser:
    """Return a parser with the flags every example server takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--database", type=Path, required=True, help="SQLite file; made when absent")
    parser.add_argument("--http", type=int, metavar="PORT", help="serve HTTP on loopback; 0: any port")
    return parser


@contextmanager
def transaction(database: Path) -> Iterator[sqlite3.Connection]:
    """Open `database` for one write transaction: committed on a normal end, rolled back on an exception.

    Each call has its own connection, since the SDK runs every tool on a thread of its own choosing.
    """
    connection = sqlite3.connect(database, timeout=LOCK_WAIT_SECONDS_MAX, isolation_level=None)
    with closing(connection), connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def prepare(database: Path, schema: str, seed: Callable[[sqlite3.Connection], None]) -> None:
    """Create the tables and the first rows, once in the life of the file even if two servers start on it."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with transaction(database) as connection:
        if connection.execute("PRAGMA user_version").fetchone()[0] != 0:
            return
        # `executescript` would commit first, which would let a second server seed as well.
        for statement in filter(str.strip, schema.split(";")):
            connection.execute(statement)
        seed(connection)
        connection.execute("PRAGMA user_version = 1")


def serve(server: MCPServer, http_port: int | None) -> None:
    """Serve until the caller closes stdin, or over HTTP until a signal, after printing its address."""
    if http_port is None:
        server.run("stdio")
        return
    listener = socket.create_server(("127.0.0.1", http_port))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    app = server.streamable_http_app()
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=STOP_WAIT_SECONDS_MAX)
    uvicorn.Server(config).run(sockets=[listener])
