"""What follows the registry and the servers while we run: connections, and word of tools that wait for their owners."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from answerable.errors import AnswerableError
from answerable.flows.escalation.route_approval import follow_duties
from answerable.flows.registry.follow_registers import follow_documents, follow_registers
from answerable.flows.revocation.cut_ended import cut_ended
from answerable.flows.state.stop_rules import Bell
from answerable.flows.validity.group_waiting import follow_waiting
from answerable.flows.walk.show_tools import tool_states

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.adapters.mcp_upstream.upstream import McpUpstream
    from answerable.flows.state.walk import Walk

REGISTRY_SECONDS: Final = 1.0
"""How often it is seen whether servers list other tools; a registry that changed is told at once."""
RELIST_SECONDS: Final = 1.0
"""How often it is seen whether a list is too old."""
STREAMS_SECONDS: Final = 1.0
"""How soon a stream of events ends after what its caller stands on."""
REGISTERS_SECONDS: Final = 0.05
"""How soon what another process wrote into the registers holds here."""

_log: Final = logging.getLogger(__name__)


async def following_registry(
    walk: Walk, upstream: McpUpstream, *, look_seconds: float = REGISTRY_SECONDS
) -> None:
    """Servers that are registered while we run are connected, and those removed are let go, without a restart.

    Leases for which the registry has no room any more end. look_seconds: between two looks that nothing asks for.
    """
    followed = walk.registry.current.digest
    seen, told = (-1, ""), frozenset[tuple[str, str, str]]()
    walk.registered.append(bell := Bell())
    while True:
        await bell.heard(seconds_max=look_seconds)
        current = walk.registry.current
        if current.digest != followed:
            upstream.apply(current.servers.values())
            if walk.leases is not None:
                walk.leases.owe_all()
            followed = current.digest
        now = (upstream.generation, current.digest)
        if now != seen:
            seen, told = now, _tell_blocked(walk, told)


async def ending_streams(walk: Walk) -> None:
    """A stream of events ends soon after what its caller stands on, whatever ended that."""
    while True:
        await anyio.sleep(STREAMS_SECONDS)
        try:
            cut_ended(walk)
        except AnswerableError as failed:
            _log.warning("whether streams of events have ended cannot be looked at now: %s", failed.message)


async def relisting(upstream: McpUpstream) -> None:
    """A server that does not say so when its tools change is asked again, whoever calls them."""
    while True:
        await anyio.sleep(RELIST_SECONDS)
        await upstream.relist()


def _tell_blocked(walk: Walk, told: frozenset[tuple[str, str, str]]) -> frozenset[tuple[str, str, str]]:
    """Each definition that is not let through is told once, as long as it stays so."""
    blocked: set[tuple[str, str, str]] = set()
    for server in sorted(walk.registry.current.servers):
        try:
            states = tool_states(walk, server)
        except AnswerableError:
            continue
        for state in states:
            if state.blocked:
                place = (server, state.tool, state.offered)
                blocked.add(place)
                if place not in told:
                    _log.warning(
                        "%s: look at it with `answerable tool diff %s %s`", state.blocked, server, state.tool
                    )
    return frozenset(blocked)


async def following_registers(walk: Walk, refresh: Callable[[], bool]) -> None:
    """What the processes of other shards write holds here, too, within a moment: a mandate they closed, for one."""
    while True:
        await anyio.sleep(REGISTERS_SECONDS)
        follow_registers(walk, refresh)


async def following_documents(walk: Walk) -> None:
    """Documents with very many policies are compiled beside the actions, and beside what else is followed."""
    while True:
        await anyio.sleep(REGISTERS_SECONDS)
        await follow_documents(walk)


async def following_questions(walk: Walk) -> None:
    """What waits for people goes to whose turn it is, and is read for who looks."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow_duties, walk)
        tasks.start_soon(follow_waiting, walk)
