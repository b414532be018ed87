"""Example servers as processes of their own, for the tests that use them."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
from mcp.client.client import Client
from mcp_types import TextContent

SERVERS = Path(__file__).parents[2] / "examples" / "servers"
STOP_SECONDS_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one server keeps its things, and its address when it runs over HTTP."""

    name: str
    home: Path
    url: str = ""

    @property
    def command(self) -> list[str]:
        command = [sys.executable, str(SERVERS / f"{self.name}.py"), "--database", str(self.database)]
        return [*command, "--workspace", str(self.workspace)] if self.name == "volumes" else command

    @property
    def database(self) -> Path:
        return self.home / f"{self.name}.db"

    @property
    def workspace(self) -> Path:
        return self.home / "workspace"

    def rows(self, query: str, *parameters: object) -> list[tuple[object, ...]]:
        """Ask the database file itself, past the server."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(query, parameters).fetchall()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a tool call gave."""

    refused: bool
    text: str
    fields: dict[str, object]


@contextmanager
def starting(place: Place) -> Iterator[subprocess.Popen[str]]:
    """Start the server over HTTP on a free port and stop it with the signal that any supervisor sends."""
    process = subprocess.Popen([*place.command, "--http", "0"], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=STOP_SECONDS_MAX)


def ready(place: Place, process: subprocess.Popen[str]) -> Place:
    """Wait for the line with the address."""
    assert process.stdout is not None
    return replace(place, url=process.stdout.readline().strip())


@contextmanager
def running(place: Place) -> Iterator[Place]:
    with starting(place) as process:
        yield ready(place, process)


async def ask(client: Client, tool: str, arguments: dict[str, object]) -> Answer:
    result = await client.call_tool(tool, arguments)
    text = "".join(block.text for block in result.content if isinstance(block, TextContent))
    fields = result.structured_content if isinstance(result.structured_content, dict) else {}
    return Answer(refused=bool(result.is_error), text=text, fields=fields)


def call(place: Place, tool: str, **arguments: object) -> Answer:
    async def once() -> Answer:
        async with Client(place.url, mode="2026-07-28") as client:
            return await ask(client, tool, arguments)

    return anyio.run(once)
