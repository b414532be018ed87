"""The inventory of unregistered sightings, and of servers that agents' MCP clients are configured to reach."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from answerable.apps.control_api.agent_operations import NAME_CHARS_MAX, identities
from answerable.apps.control_api.call import Operation, instant, page_of
from answerable.apps.control_api.schemas import COUNT, INSTANT, TEXT, choice, record
from answerable.core.identity.names.principal import agent_id
from answerable.errors import shown
from answerable.errors.codes.registry import AGENT_UNKNOWN
from answerable.errors.codes.services import REQUEST_BODY
from answerable.flows.workloads.keep_discovered_assets import (
    SERVERS_MAX,
    configured_servers,
    put_configured,
    unregistered,
)

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.apps.control_api.schemas import Schema
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.snapshot.discovered_asset import Sighting


async def list_seen(call: Call) -> Answer:
    """List what was seen in use and is not registered, most recent first."""
    sightings = identities(call).identity.sightings
    found = await anyio.to_thread.run_sync(partial(unregistered, call.walk, sightings))
    return page_of(call, found, name=lambda one: f"{one.kind}:{one.name}:{one.source}", render=_sighting)


async def report_servers(call: Call) -> Answer:
    """Store the servers named in the MCP client configuration of an agent, replacing earlier ones. This is a claim:
    these servers were not observed. Registered servers reached in the same way are left out of the inventory."""
    body = call.members("agent", "servers")
    name = agent_id(body.text("agent", chars_max=NAME_CHARS_MAX))
    if f"Agent/{name}" not in call.walk.registry.documents():
        raise AGENT_UNKNOWN(f"agent {shown(name)} is not registered")
    sightings, now = identities(call).identity.sightings, call.walk.clock.now()
    found = configured_servers(name, _servers(call), at=now)
    keep = partial(put_configured, call.walk, sightings, found, agent=name)
    return {"agent": name, "unregistered": await anyio.to_thread.run_sync(keep)}


def _servers(call: Call) -> list[tuple[str, str, str]]:
    """Return each server's name, how it is reached, and the file that names it. Raises Malformed (`request.body`)."""
    listed = call.body.get("servers") if isinstance(call.body, dict) else None
    if not isinstance(listed, list) or len(listed) > SERVERS_MAX:
        raise REQUEST_BODY(f"/servers: expected a list of at most {SERVERS_MAX}")
    found: list[tuple[str, str, str]] = []
    for number, one in enumerate(listed):
        texts = [one.get(key) for key in ("name", "reached", "where")] if isinstance(one, dict) else []
        said = [text for text in texts if isinstance(text, str)]
        if len(said) != 3 or not isinstance(one, dict) or len(one) != 3:
            raise REQUEST_BODY(f"/servers/{number}: expected name, reached and where, all text")
        found.append((said[0], said[1], said[2]))
    return found


def _sighting(one: Sighting) -> JSONValue:
    return {
        "kind": one.kind,
        "name": one.name,
        "source": one.source,
        "grade": one.grade,
        "how": one.how,
        "blocked": "here" if one.direct else "everywhere",
        "first": instant(one.first),
        "last": instant(one.last),
        "count": one.count,
    }


COMPONENTS: Final[dict[str, Schema]] = {
    "Sighting": record(
        {
            "kind": choice("agent", "server", "tool"),
            "name": TEXT,
            "source": TEXT,
            "grade": choice("kernel", "sidecar", "gateway", "claimed"),
            "how": TEXT,
            "blocked": choice("everywhere", "here"),
            "first": INSTANT,
            "last": INSTANT,
            "count": COUNT,
        }
    ),
    "ServerReport": record(
        {
            "agent": TEXT,
            "servers": {"type": "array", "items": record({"name": TEXT, "reached": TEXT, "where": TEXT})},
        }
    ),
    "ServersReported": record({"agent": TEXT, "unregistered": COUNT}),
}
"""In addition to those of `schemas`."""

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="list_seen",
        method="GET",
        path="/v1/seen",
        summary="What was seen at work and is not registered",
        answer="Sighting",
        page=True,
        run=list_seen,
    ),
    Operation(
        id="report_servers",
        method="POST",
        path="/v1/seen",
        summary="Servers that the configuration of an agent's MCP client names, past the gateway",
        body="ServerReport",
        answer="ServersReported",
        run=report_servers,
    ),
)
