"""Compare running instances with each new manifest, from their stored measurements, without any action waiting."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from answerable.errors import AnswerableError, Refused
from answerable.flows.recording.rounds import until_round
from answerable.flows.validity.manifest_standing import standing_manifest
from answerable.flows.workloads.enrol_workload import compare_again

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import AgentId
    from answerable.flows.trust_domain.workloads import Workloads

POLL_SECONDS: Final = 0.5

_log: Final = logging.getLogger(__name__)


async def follow_manifests(workloads: Workloads, *, poll_seconds: float = POLL_SECONDS) -> None:
    """Compare running instances with every manifest that comes into force, without end. Failures are retried.

    An instance that has not been compared yet acts as drifted, so that nothing escapes the comparison.
    """
    compared: dict[AgentId, str] = {}
    while True:
        await anyio.sleep(until_round(poll_seconds))
        try:
            await compare_running(workloads, compared)
        except AnswerableError as error:
            _log.warning("running instances cannot be held against their manifests yet: %s", error.message)


async def compare_running(workloads: Workloads, compared: dict[AgentId, str]) -> None:
    """Run one round. `compared`: by agent, the manifest all its instances were compared with; updated.

    Parents go before their sub-agents, which inherit drift. Raises Refused (`workloads.pace`) and Unavailable;
    completed comparisons stay.
    """
    for agent in list(workloads.authority.registry.current.agents):
        try:
            standing = standing_manifest(workloads.authority, agent)
        except Refused:
            # A manifest that is not valid is not compared: its instances act as drifted until it is valid again.
            standing = None
        digest = standing.digest if standing is not None else ""
        if compared.get(agent, "") == digest:
            continue
        running = sorted(workloads.instances.of_agent(agent), key=lambda one: (bool(one.parent), str(one.id)))
        for one in running:
            if digest and one.manifest != digest:
                await compare_again(workloads, one.id)
        compared[agent] = digest
