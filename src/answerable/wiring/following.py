"""Follow the registry and the servers while the server runs: connections, event streams, and tools that wait for
approval."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from answerable.adapters.mcp_upstream.upstream import link_kind
from answerable.errors import AnswerableError
from answerable.flows.escalation.route_approval import follow_duties
from answerable.flows.recording.rounds import until_round
from answerable.flows.registry.follow_registers import follow_documents, follow_registers
from answerable.flows.revocation.cut_ended import cut_ended
from answerable.flows.state.stop_rules import Bell
from answerable.flows.validity.group_waiting import follow_waiting
from answerable.flows.walk.show_tools import tool_states
from answerable.flows.workloads.keep_discovered_assets import Looked, keep_discovered_assets, offered_tools

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.adapters.mcp_upstream.upstream import McpUpstream
    from answerable.core.decision.history import History
    from answerable.core.registry.snapshot.discovered_asset import DiscoveredAssets
    from answerable.flows.state.lease_side import LeaseSide
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.flows.state.steps import Planning
    from answerable.flows.state.streams import Stream
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.sightings import Sightings

REGISTRY_SECONDS: Final = 1.0
"""Interval at which servers' changed tools are checked; a changed registry is signalled at once."""
RELIST_SECONDS: Final = 1.0
"""Interval at which the age of tool lists is checked."""
STREAMS_SECONDS: Final = 1.0
"""Interval at which event streams whose caller's authority has ended are cut."""
REGISTERS_SECONDS: Final = 0.05
"""Interval at which changes of the registers by other processes are read."""
SIGHTINGS_SECONDS: Final = 10.0
"""Interval at which unregistered assets are stored."""

_log: Final = logging.getLogger(__name__)


async def following_registry(
    planning: Planning,
    policies: PolicyState,
    leases: LeaseSide | None,
    limits: WalkLimits,
    upstream: McpUpstream,
    *,
    look_seconds: float = REGISTRY_SECONDS,
) -> None:
    """Connect servers that are registered while this process runs and disconnect removed ones, without a restart.

    Leases that the registry no longer covers end. look_seconds: interval between two checks without a signal.
    """
    followed = planning.authority.registry.current.digest
    seen, told = (-1, ""), frozenset[tuple[str, str, str]]()
    policies.registered.append(bell := Bell())
    while True:
        await bell.heard(seconds_max=until_round(look_seconds))
        current = planning.authority.registry.current
        if current.digest != followed:
            if current.servers:
                upstream.expect(current.servers.values())
                await anyio.to_thread.run_sync(link_kind)
            upstream.apply(current.servers.values())
            if leases is not None:
                leases.owe_all()
            followed = current.digest
        now = (upstream.generation, current.digest)
        if now != seen:
            seen, told = now, _tell_blocked(planning, limits, told)


async def ending_streams(planning: Planning, streams: set[Stream]) -> None:
    """Cut event streams soon after their caller's authority has ended, for any reason."""
    while True:
        await anyio.sleep(until_round(STREAMS_SECONDS))
        try:
            cut_ended(planning.authority, streams, planning.verification.stands)
        except AnswerableError as failed:
            _log.warning("ended event streams cannot be checked now: %s", failed.message)


async def relisting(upstream: McpUpstream) -> None:
    """List the tools of servers again that do not signal changes."""
    while True:
        await anyio.sleep(until_round(RELIST_SECONDS))
        await upstream.relist()


def _tell_blocked(
    planning: Planning, limits: WalkLimits, told: frozenset[tuple[str, str, str]]
) -> frozenset[tuple[str, str, str]]:
    """Log each blocked definition once, as long as it stays blocked."""
    blocked: set[tuple[str, str, str]] = set()
    for server in sorted(planning.authority.registry.current.servers):
        try:
            states = tool_states(planning.authority, planning.verification, limits, server)
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


async def following_registers(
    registry: RegistryStore,
    history: History,
    policies: PolicyState,
    limits: WalkLimits,
    refresh: Callable[[], bool],
) -> None:
    """Apply what the processes of other shards write, within a moment: a mandate that they closed, for example."""
    while True:
        await anyio.sleep(REGISTERS_SECONDS)
        follow_registers(registry, history, policies, limits, refresh)


async def following_documents(
    registry: RegistryStore, history: History, policies: PolicyState, limits: WalkLimits
) -> None:
    """Compile documents with very many policies in the background, apart from actions and other followers."""
    while True:
        await anyio.sleep(REGISTERS_SECONDS)
        await follow_documents(registry, history, policies, limits)


async def following_questions(recorder: Recorder, authority: AuthorityRegisters, asking: AskingState) -> None:
    """Route pending approvals to those whose turn it is, and keep them read for viewers."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow_duties, recorder, authority, asking)
        tasks.start_soon(
            follow_waiting, recorder.ledger, authority.approvals, asking.under_way, recorder.clock
        )


async def keeping_sightings(seen: DiscoveredAssets, sightings: Sightings, workloads: Workloads) -> None:
    """Store the unregistered assets seen, and remove those that are registered meanwhile."""
    looked, held_against = Looked(), None
    registry, upstream = workloads.authority.registry, workloads.verification.upstream
    while True:
        await anyio.sleep(until_round(SIGHTINGS_SECONDS))
        current = registry.current
        keep = partial(
            keep_discovered_assets,
            seen,
            sightings,
            offered=offered_tools(registry, upstream, workloads.recorder.clock, looked),
            registry=registry if current is not held_against else None,
        )
        try:
            await anyio.to_thread.run_sync(keep)
            held_against = current
        except AnswerableError as error:
            _log.warning("sightings of unregistered objects cannot be stored now: %s", error.message)
