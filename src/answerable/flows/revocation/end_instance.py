"""Ending instances: one, all of an agent, those that ran out, and those whose process is gone.

Stopping comes first and needs no record to be safe; the record follows, and is tried again while there is none: the
register says which ends are not recorded, so that a crash between the two loses none. An end that a crash parts from
that word is recorded twice, never not at all. Of several processes with one register, the one that ended an instance
records it; the others do where that has not come about within GRACE_SECONDS.

Whatever may wait for a disk or for another process runs in a worker thread.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import anyio.to_thread

from answerable.core.containment.shadow import is_shadow_name
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger import records_workload
from answerable.core.ledger.subject import operator_subject
from answerable.errors import AnswerableError, Unavailable, shown
from answerable.errors.codes.workloads import INSTANCE_UNKNOWN
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.revocation.end_leases import end_leases
from answerable.ports.instance_register import UNRECORDED_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from answerable.core.identity.names.principal import AgentId
    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.identity.workload.instance import Instance
    from answerable.core.ledger.entry import Entry
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.walk import Walk
    from answerable.flows.trust_domain.workloads import Workloads

POLL_SECONDS: Final = 1.0
SWEEP_SECONDS: Final = 5.0
"""How often lapsed instances and dead processes are looked for."""
RECORDED_AT_A_TIME: Final = 64
"""Ends in the ledger of which the register is told in one write; so many a crash makes us record twice at most."""

SHADOW_SECONDS_MAX: Final = 600
"""How old the instance of a drill's shadow may get, as old as its task."""
GRACE_SECONDS: Final = 10.0
"""How long an end may wait for the process that ended it to record it."""

TOLD_BEFORE: Final = frozenset({"held", "revoked"})
"""Why instances end whose leases were ended with all else that was held or revoked."""

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)


async def end_instance(
    workloads: Workloads, instance: SpiffeId, *, because: str, by: str = ""
) -> tuple[Instance, ...]:
    """End it and its sub-agents; returns those that this call ended. because: stable code, such as `asked`. by: the
    operator who wants it, as the control door knows them; the ledger names them, also where a crash comes between.

    Raises Refused (`instance.unknown`), and Unavailable where the end could not be recorded yet: it has ended all the
    same, and is recorded by a later round of `follow_standing`. Where the register took nothing it may not have ended.
    """
    if workloads.instances.find(instance) is None:
        raise INSTANCE_UNKNOWN(f"instance {shown(instance)} is not known")
    try:
        return await _ended(workloads, [instance], because, by)
    except Unavailable as failed:
        if failed.code != "register.unavailable":
            raise
        # What stops it needs no room.
        raise Unavailable(
            f"{failed.message}: it may not have ended. `answerable stop {shown(instance)} --kind instance` stops it "
            "also while nothing can be written, and `answerable panic` stops everything",
            code=failed.code,
            port=failed.port,
            effect="unknown",
        ) from None


async def end_agent(
    workloads: Workloads, agent: AgentId, *, because: str, by: str = ""
) -> tuple[Instance, ...]:
    """End every instance of an agent. by, and raises Unavailable: as `end_instance`."""
    return await _ended(workloads, [one.id for one in workloads.instances.of_agent(agent)], because, by)


async def end_instances(
    workloads: Workloads, instances: Iterable[SpiffeId], *, because: str
) -> tuple[Instance, ...]:
    """End these and their sub-agents; what has ended is left as it is. Raises Unavailable, as `end_instance`."""
    return await _ended(workloads, [*instances], because)


async def end_unfounded(workloads: Workloads) -> tuple[Instance, ...]:
    """End every instance whose agent is not in force today: suspended, retired, gone, or its owner is disabled."""
    current = workloads.walk.registry.current.agents
    # The shadow of a drill is registered nowhere, and ends with its drill, which another process may run; what a crash
    # leaves of one outlives its task by nothing.
    oldest = workloads.walk.clock.now() - SHADOW_SECONDS_MAX * 1000
    names = {
        one.agent
        for one in workloads.instances.live()
        if not (is_shadow_name(one.agent) and one.enrolled_at >= oldest)
    }
    ended: list[Instance] = []
    for agent in sorted(names):
        found = current.get(agent)
        if found is None or found.status != "active":
            ended += await end_agent(workloads, agent, because="agent.inactive")
    return tuple(ended)


async def end_lapsed(workloads: Workloads, *, at: UnixMillis | None = None) -> tuple[Instance, ...]:
    """End what was not renewed in time, by the clock or, where that was set back, by `at`; and local processes that are
    gone."""
    now = workloads.walk.clock.now() if at is None else at
    live = list(workloads.instances.live())
    lapsed = [one.id for one in live if not one.is_live(now)]
    local = [one for one in live if one.process and one.is_live(now)]
    gone = await anyio.to_thread.run_sync(partial(_gone, workloads, local))
    return (
        *(await _ended(workloads, lapsed, "instance.expired")),
        *(await _ended(workloads, gone, "process.gone")),
    )


async def record_ends(workloads: Workloads, *, only: Collection[SpiffeId] | None = None) -> int:
    """Write down ends that are not in the ledger yet, or of those `only` these; returns how many are now.

    Raises Unavailable.
    """
    count = 0
    async with workloads.turn("ends"):
        while waiting := await anyio.to_thread.run_sync(workloads.instances.unrecorded):
            chosen = [end for end in waiting if only is None or end[0].id in only]
            if not chosen and len(waiting) < UNRECORDED_MAX:
                break
            # What hides the chosen ones behind a full answer is recorded, whosever it is.
            chosen = chosen or list(waiting)
            for start in range(0, len(chosen), RECORDED_AT_A_TIME):
                some = chosen[start : start + RECORDED_AT_A_TIME]
                await _record(workloads, some)
                count += len(some)
    return count


async def follow_standing(
    workloads: Workloads, *, poll_seconds: float = POLL_SECONDS, sweep_seconds: float = SWEEP_SECONDS
) -> None:
    """End what no longer stands, for ever; what fails is tried again with the next round.

    An instance ends within one poll after the registry that ends it is in force here. The walk itself does not wait
    for that: an agent that is not active is refused at its next message.
    """
    judged: RegistrySnapshot | None = None
    seen: dict[SpiffeId, float] | None = None
    swept_at = -sweep_seconds
    while True:
        current = workloads.walk.registry.current
        at = workloads.walk.clock.monotonic()
        try:
            due = at - swept_at >= sweep_seconds
            if due or current is not judged:
                await end_unfounded(workloads)
                judged = current
            if due:
                swept_at = at
                await end_lapsed(workloads)
                before = workloads.walk.clock.now() - workloads.limits.forget_seconds * 1000
                forget = partial(workloads.instances.forget_ended, before=UnixMillis(before))
                await anyio.to_thread.run_sync(forget)
            seen = await _record_waiting(workloads, seen)
        except AnswerableError as error:
            _log.warning("instances cannot be tended right now: %s", error.message)
        await anyio.sleep(poll_seconds)


async def written(change: Callable[[], T]) -> T:
    """A change of the register that is made whether the caller stays or leaves, off the event loop."""
    with anyio.CancelScope(shield=True):
        found = await anyio.to_thread.run_sync(change)
    return found  # noqa: RET504 - a scope may swallow an exception, as far as mypy knows


async def _ended(
    workloads: Workloads, instances: list[SpiffeId], because: str, by: str = ""
) -> tuple[Instance, ...]:
    if not instances:
        return ()
    ended = await written(partial(workloads.instances.end_many, instances, because=because, by=by))
    for one in ended:
        workloads.sub_numbers.pop(one.id, None)
    if ended:
        await record_ends(workloads, only=frozenset(one.id for one in ended))
    return ended


async def _record_waiting(workloads: Workloads, seen: dict[SpiffeId, float] | None) -> dict[SpiffeId, float]:
    """A round: at the start (None) all ends that wait, later those that have waited. Returns since when each has."""
    waiting = await anyio.to_thread.run_sync(workloads.instances.unrecorded)
    at = workloads.walk.clock.monotonic()
    if seen is None:
        await record_ends(workloads)
        return {}
    since = {end.id: seen.get(end.id, at) for end, _ in waiting}
    due = frozenset(name for name, first in since.items() if at - first >= GRACE_SECONDS)
    if due:
        await record_ends(workloads, only=due)
    return since


async def _record(workloads: Workloads, ends: Sequence[tuple[Instance, str]]) -> None:
    """Each in the ledger, and those that are, whatever becomes of the others, marked in the register. Their leases end
    first, so that neither a full ledger nor a crash between the two leaves one."""
    leased = [("instance", str(one.id)) for one, because in ends if because not in TOLD_BEFORE]
    await end_leases(workloads.walk, leased, why="its instance ended")
    done: list[SpiffeId] = []
    left: BaseException | None = None
    try:
        for instance, because in ends:
            entry = _end_entry(workloads.walk, instance, because)
            _, left = await record_entry(workloads.walk, entry)
            done.append(instance.id)
            if left is not None:
                break
    finally:
        if done:
            await written(partial(workloads.instances.recorded, done))
    if left is not None:
        raise left


def _end_entry(walk: Walk, instance: Instance, because: str) -> Entry:
    """Raises Unavailable where an operator is to be named, and the key that seals the name cannot be had."""
    by = instance.ended_by
    return records_workload.workload_ended(
        instance,
        at=walk.clock.now(),
        because=because,
        pseudonym=pseudonym_of(walk, by) if by else "",
        sealing=sealing_for(walk, operator_subject(by)) if by else None,
    )


def _gone(workloads: Workloads, instances: Iterable[Instance]) -> list[SpiffeId]:
    return [one.id for one in instances if not workloads.observer.is_alive(one.process)]
