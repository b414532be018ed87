"""Ending instances: one, all of an agent, those that ran out, and those whose process is gone.

Stopping comes first and needs no record to be safe; the record follows, and is tried again while there is none.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from answerable.core.identity.principal import UnixMillis
from answerable.core.ledger import records_workload
from answerable.errors import AnswerableError, Refused, shown
from answerable.flows.record_entry import record_entry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.instance import Instance
    from answerable.core.identity.principal import AgentId
    from answerable.core.identity.spiffe_id import SpiffeId
    from answerable.core.registry.snapshot import RegistrySnapshot
    from answerable.flows.workloads import Workloads

POLL_SECONDS: Final = 1.0
SWEEP_SECONDS: Final = 5.0
"""How often lapsed instances and dead processes are looked for."""

_log: Final = logging.getLogger(__name__)


async def end_instance(workloads: Workloads, instance: SpiffeId, *, because: str) -> tuple[Instance, ...]:
    """End it and its sub-agents; returns those that this call ended. because: stable code, such as `asked`.

    Raises Refused (`instance.unknown`), and Unavailable where the end could not be recorded yet: it has ended all the
    same, and is recorded by the next round of `follow_standing`.
    """
    if workloads.instances.find(instance) is None:
        raise Refused(f"instance {shown(instance)} is not known", code="instance.unknown")
    return await _ended(workloads, [instance], because)


async def end_agent(workloads: Workloads, agent: AgentId, *, because: str) -> tuple[Instance, ...]:
    """End every instance of an agent. Raises Unavailable, as `end_instance`."""
    return await _ended(workloads, [one.id for one in workloads.instances.of_agent(agent)], because)


async def end_unfounded(workloads: Workloads) -> tuple[Instance, ...]:
    """End every instance whose agent is not in force today: suspended, retired, gone, or its owner is disabled."""
    current = workloads.walk.registry.current.agents
    names = {one.agent for one in workloads.instances.live()}
    ended: list[Instance] = []
    for agent in sorted(names):
        found = current.get(agent)
        if found is None or found.status != "active":
            ended += await end_agent(workloads, agent, because="agent.inactive")
    return tuple(ended)


async def end_lapsed(workloads: Workloads) -> tuple[Instance, ...]:
    """End what was not renewed in time, and local processes that are gone."""
    now = workloads.walk.clock.now()
    live = list(workloads.instances.live())
    lapsed = [one.id for one in live if not one.is_live(now)]
    local = [one for one in live if one.process and one.is_live(now)]
    gone = await anyio.to_thread.run_sync(partial(_gone, workloads, local))
    return (
        *(await _ended(workloads, lapsed, "instance.expired")),
        *(await _ended(workloads, gone, "process.gone")),
    )


async def record_ends(workloads: Workloads) -> int:
    """Write down ends that are not in the ledger yet; returns how many are now. Raises Unavailable."""
    written = 0
    async with workloads.turn("ends"):
        while workloads.unrecorded:
            instance, because = workloads.unrecorded[0]
            entry = records_workload.workload_ended(instance, at=workloads.walk.clock.now(), because=because)
            _, left = await record_entry(workloads.walk, entry)
            del workloads.unrecorded[0]
            written += 1
            if left is not None:
                raise left
    return written


async def follow_standing(
    workloads: Workloads, *, poll_seconds: float = POLL_SECONDS, sweep_seconds: float = SWEEP_SECONDS
) -> None:
    """End what no longer stands, for ever; what fails is tried again with the next round.

    An instance ends within one poll after the registry that ends it is in force here. The walk itself does not wait
    for that: an agent that is not active is refused at its next message.
    """
    judged: RegistrySnapshot | None = None
    swept_at = -sweep_seconds
    while True:
        current = workloads.walk.registry.current
        at = workloads.walk.clock.monotonic()
        try:
            if current is not judged:
                await end_unfounded(workloads)
                judged = current
            if at - swept_at >= sweep_seconds:
                swept_at = at
                await end_lapsed(workloads)
                before = workloads.walk.clock.now() - workloads.limits.forget_seconds * 1000
                workloads.instances.forget_ended(before=UnixMillis(before))
            await record_ends(workloads)
        except AnswerableError as error:
            _log.warning("instances cannot be tended right now: %s", error.message)
        await anyio.sleep(poll_seconds)


async def _ended(workloads: Workloads, instances: Iterable[SpiffeId], because: str) -> tuple[Instance, ...]:
    ended: list[Instance] = []
    for instance in instances:
        stopped = workloads.instances.end(instance, because=because)
        ended += stopped
        workloads.unrecorded += [(one, because if one.id == instance else "parent.ended") for one in stopped]
        workloads.sub_numbers.pop(instance, None)
    if ended:
        await record_ends(workloads)
    return tuple(ended)


def _gone(workloads: Workloads, instances: Iterable[Instance]) -> list[SpiffeId]:
    return [one.id for one in instances if not workloads.observer.is_alive(one.process)]
