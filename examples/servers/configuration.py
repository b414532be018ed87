"""The configuration of a few services as an MCP server: a change is prepared as a difference and applied as that.

Run it with `python examples/servers/configuration.py --database configuration.db`, or add `--http PORT`. A prepared
change names the version that it was made against; `change_apply` applies exactly that change, and nothing when the
configuration has moved since.
"""

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from serving import READS, flags, prepare, serve, transaction

SCHEMA = """
CREATE TABLE services (service TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT;
CREATE TABLE settings (
    service TEXT NOT NULL REFERENCES services, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (service, name)
) STRICT
"""
APPLIES = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False
)
FIRST = {
    "checkout": {"timeout_seconds": "30", "payment_host": "pay.example.com", "retries": "2"},
    "search": {"index": "products-7", "page_size": "24"},
}
NAMES_MAX = 50


class Step(BaseModel):
    """One setting before and after; `null` where there is none."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: str = Field(min_length=1, max_length=100)
    before: str | None
    after: str | None


class Change(BaseModel):
    """A difference against one version of one service's configuration."""

    model_config = ConfigDict(extra="forbid", strict=True)
    service: str
    version: int
    steps: list[Step] = Field(min_length=1, max_length=NAMES_MAX)


class Configuration(BaseModel):
    """All settings of a service; the version counts its changes."""

    service: str
    version: int
    settings: dict[str, str]


Service = Annotated[str, Field(min_length=1, max_length=100, description="such as checkout")]
Wanted = Annotated[
    dict[str, str | None],
    Field(min_length=1, max_length=NAMES_MAX, description="values by name; null takes a setting away"),
]
ChangeText = Annotated[str, Field(max_length=262_144, description="a prepared change, word for word")]
Digest = Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$", description="of the bytes of the change")]


def seed(connection: sqlite3.Connection) -> None:
    """Write the configuration that there is at first."""
    for service, settings in FIRST.items():
        connection.execute("INSERT INTO services VALUES (?, 1)", (service,))
        rows = [(service, name, value) for name, value in settings.items()]
        connection.executemany("INSERT INTO settings VALUES (?, ?, ?)", rows)


def found(connection: sqlite3.Connection, service: str) -> Configuration:
    """Return what is in force; raises ToolError for an unknown service."""
    row = connection.execute("SELECT version FROM services WHERE service = ?", (service,)).fetchone()
    if row is None:
        raise ToolError(f"no service `{service}`")
    rows = connection.execute("SELECT name, value FROM settings WHERE service = ? ORDER BY name", (service,))
    settings = {one["name"]: one["value"] for one in rows}
    return Configuration(service=service, version=row["version"], settings=settings)


@dataclass(frozen=True, slots=True)
class Configurations:
    """The tools over one prepared database."""

    database: Path

    def configuration_show(self, service: Service) -> Configuration:
        """Return the settings of a service and their version."""
        with transaction(self.database) as connection:
            return found(connection, service)

    def change_prepare(self, service: Service, settings: Wanted) -> Change:
        """Prepare a change: the difference between what is in force and what is wanted. Nothing is changed."""
        with transaction(self.database) as connection:
            now = found(connection, service)
        steps = [
            Step(name=name, before=now.settings.get(name), after=value)
            for name, value in sorted(settings.items())
            if now.settings.get(name) != value
        ]
        if not steps:
            raise ToolError("everything is so already")
        return Change(service=service, version=now.version, steps=steps)

    def change_apply(self, change: ChangeText, digest: Digest) -> Configuration:
        """Apply a prepared change. Changes nothing when the configuration has moved since it was prepared."""
        if digest != f"sha256:{hashlib.sha256(change.encode()).hexdigest()}":
            raise ToolError("the digest is not that of the change: nothing was changed")
        try:
            what = Change.model_validate(json.loads(change))
        except (ValueError, ValidationError) as error:
            raise ToolError("the text is no change: nothing was changed") from error
        with transaction(self.database) as connection:
            now = found(connection, what.service)
            moved = [step.name for step in what.steps if now.settings.get(step.name) != step.before]
            if moved or now.version != what.version:
                raise ToolError(
                    f"the configuration is at version {now.version}, and the change was prepared against "
                    f"{what.version}: nothing was changed, prepare again"
                )
            for step in what.steps:
                connection.execute(
                    "DELETE FROM settings WHERE service = ? AND name = ?", (what.service, step.name)
                )
                if step.after is not None:
                    row = (what.service, step.name, step.after)
                    connection.execute("INSERT INTO settings VALUES (?, ?, ?)", row)
            connection.execute("UPDATE services SET version = version + 1 WHERE service = ?", (what.service,))
            return found(connection, what.service)


def build(database: Path) -> MCPServer:
    """Return the server over a prepared database."""
    configurations = Configurations(database)
    server = MCPServer(
        "configuration",
        version="1.0.0",
        instructions="Show configurations, prepare changes and apply them.",
        log_level="WARNING",
    )
    server.add_tool(configurations.configuration_show, title="Show a configuration", annotations=READS)
    server.add_tool(configurations.change_prepare, title="Prepare a change", annotations=READS)
    server.add_tool(configurations.change_apply, title="Apply a prepared change", annotations=APPLIES)
    return server


if __name__ == "__main__":
    arguments = flags("configurations of services, over MCP").parse_args()
    prepare(arguments.database, SCHEMA, seed)
    serve(build(arguments.database), arguments.http)
