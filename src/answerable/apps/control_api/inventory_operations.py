"""The inventory of unregistered sightings, and of servers that agents' MCP clients are configured to reach."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from answerable.api import inventory_answers as answers
from answerable.api.members import Page
from answerable.apps.control_api.agent_operations import NAME_CHARS_MAX, identities
from answerable.apps.control_api.call import instant, page_of
from answerable.apps.control_api.operation import Operation, operation
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
    from answerable.apps.control_api.call import Call
    from answerable.core.registry.snapshot.discovered_asset import Sighting


@operation(
    "GET",
    "/v1/seen",
    id="list_seen",
    summary="What was seen at work and is not registered",
    answer=Page[answers.Sighting],
)
async def list_seen(call: Call) -> Page[answers.Sighting]:
    """List what was seen in use and is not registered, most recent first."""
    sightings = identities(call).identity.sightings
    found = await anyio.to_thread.run_sync(partial(unregistered, call.walk.authority.registry, sightings))
    return page_of(call, found, name=lambda one: f"{one.kind}:{one.name}:{one.source}", render=_sighting)


@operation(
    "POST",
    "/v1/seen",
    id="report_servers",
    summary="Servers that the configuration of an agent's MCP client names, past the gateway",
    answer=answers.ServersReported,
    body=answers.ServerReport,
)
async def report_servers(call: Call) -> answers.ServersReported:
    """Store the servers named in the MCP client configuration of an agent, replacing earlier ones. This is a claim:
    these servers were not observed. Registered servers reached in the same way are left out of the inventory."""
    body = call.members("agent", "servers")
    name = agent_id(body.text("agent", chars_max=NAME_CHARS_MAX))
    if f"Agent/{name}" not in call.walk.authority.registry.documents():
        raise AGENT_UNKNOWN(f"agent {shown(name)} is not registered")
    sightings, now = identities(call).identity.sightings, call.walk.clock.now()
    found = configured_servers(name, _servers(call), at=now)
    keep = partial(put_configured, call.walk.authority.registry, sightings, found, agent=name)
    return answers.ServersReported(agent=name, unregistered=await anyio.to_thread.run_sync(keep))


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


def _sighting(one: Sighting) -> answers.Sighting:
    return answers.Sighting(
        kind=one.kind,
        name=one.name,
        source=one.source,
        grade=one.grade,
        how=one.how,
        blocked="here" if one.direct else "everywhere",
        first=instant(one.first),
        last=instant(one.last),
        count=one.count,
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    list_seen,
    report_servers,
)
