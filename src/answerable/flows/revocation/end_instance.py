"""End instances: one, all of an agent, those not renewed in time, and those whose process is gone.

The end comes first and is safe without a record. The record follows and is retried: the register marks ends that are
not recorded, so that a crash in between loses none. After a crash between the ledger entry and its mark, an end is
recorded twice, never zero times. Of several processes with one register, the process that ended an instance records it;
another process does so after `GRACE_SECONDS`.

Everything that may wait for a disk or another process runs in a worker thread.
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
from answerable.flows.recording.rounds import until_round
from answerable.flows.revocation.end_leases import end_leases
from answerable.ports.instance_register import UNRECORDED_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from answerable.core.identity.names.principal import AgentId
    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.identity.workload.instance import Instance
    from answerable.core.ledger.entry import Entry
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.parts import Recorder
    from answerable.flows.trust_domain.workloads import Workloads

POLL_SECONDS: Final = 1.0
SWEEP_SECONDS: Final = 5.0
"""How often expired instances and dead processes are looked for."""
RECORDED_AT_A_TIME: Final = 64
"""Ends marked as recorded in one write; at most this many are recorded twice after a crash."""

SHADOW_SECONDS_MAX: Final = 600
"""Maximum age of the instance of a drill's shadow agent, as for its task."""
GRACE_SECONDS: Final = 10.0
"""How long an end may wait for the process that ended it to record it."""

TOLD_BEFORE: Final = frozenset({"held", "revoked"})
"""Reasons for ends whose leases were already ended with everything that was held or revoked."""

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)


async def end_instance(
    workloads: Workloads, instance: SpiffeId, *, because: str, by: str = ""
) -> tuple[Instance, ...]:
    """End an instance and its sub-agents. Return those that this call ended.

    `because`: stable code, such as `asked`. `by`: the operator, as the control endpoint knows them; named in the ledger
    even if a crash comes between.

    Raises Refused (`instance.unknown`), and Unavailable if the end could not be recorded yet: the instance has ended,
    and a later round of `follow_standing` records it. If the register accepted no write, it may not have ended.
    """
    if workloads.instances.find(instance) is None:
        raise INSTANCE_UNKNOWN(f"instance {shown(instance)} is not known")
    try:
        return await _ended(workloads, [instance], because, by)
    except Unavailable as failed:
        if failed.code != "register.unavailable":
            raise
        # A hold stops the instance even without room in the register.
        raise Unavailable(
            (
                f"{failed.message}: the instance may not have ended; `answerable stop {shown(instance)} "
                "--kind instance` stops it even while nothing can be written, and `answerable panic` "
                "stops everything"
            ),
            code=failed.code,
            port=failed.port,
            effect="unknown",
        ) from None


async def end_agent(
    workloads: Workloads, agent: AgentId, *, because: str, by: str = ""
) -> tuple[Instance, ...]:
    """End every instance of an agent. `by`, and Unavailable: as `end_instance`."""
    return await _ended(workloads, [one.id for one in workloads.instances.of_agent(agent)], because, by)


async def end_instances(
    workloads: Workloads, instances: Iterable[SpiffeId], *, because: str
) -> tuple[Instance, ...]:
    """End these instances and their sub-agents; skip those that have ended. Raises Unavailable as `end_instance`."""
    return await _ended(workloads, [*instances], because)


async def end_unfounded(workloads: Workloads) -> tuple[Instance, ...]:
    """End every instance whose agent is not active now: suspended, retired, removed, or its owner is disabled."""
    current = workloads.authority.registry.current.agents
    # A drill's shadow agent is not in the registry. Its instance ends with the drill, which another process may run;
    # after a crash the age limit ends it.
    oldest = workloads.recorder.clock.now() - SHADOW_SECONDS_MAX * 1000
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
    """End instances not renewed in time, and local processes that are gone.

    `at`: the time to compare with, for when the clock was set back; the clock's time by default.
    """
    now = workloads.recorder.clock.now() if at is None else at
    live = list(workloads.instances.live())
    lapsed = [one.id for one in live if not one.is_live(now)]
    local = [one for one in live if one.process and one.is_live(now)]
    gone = await anyio.to_thread.run_sync(partial(_gone, workloads, local))
    return (
        *(await _ended(workloads, lapsed, "instance.expired")),
        *(await _ended(workloads, gone, "process.gone")),
    )


async def record_ends(workloads: Workloads, *, only: Collection[SpiffeId] | None = None) -> int:
    """Record ends that are not in the ledger yet. `only`: restrict to these. Return how many were recorded.

    Raises Unavailable.
    """
    count = 0
    async with workloads.turn("ends"):
        while waiting := await anyio.to_thread.run_sync(workloads.instances.unrecorded):
            chosen = [end for end in waiting if only is None or end[0].id in only]
            if not chosen and len(waiting) < UNRECORDED_MAX:
                break
            # A full answer of other ends may hide the chosen ones: record those first.
            chosen = chosen or list(waiting)
            for start in range(0, len(chosen), RECORDED_AT_A_TIME):
                some = chosen[start : start + RECORDED_AT_A_TIME]
                await _record(workloads, some)
                count += len(some)
    return count


async def follow_standing(
    workloads: Workloads, *, poll_seconds: float = POLL_SECONDS, sweep_seconds: float = SWEEP_SECONDS
) -> None:
    """End what is no longer valid, in a loop without end. Failures are retried in the next round.

    An instance ends within one poll after the registry that ends it is in force in this process. The walk does not wait
    for that: an inactive agent is refused at its next message.
    """
    judged: RegistrySnapshot | None = None
    seen: dict[SpiffeId, float] | None = None
    swept_at = -sweep_seconds
    while True:
        current = workloads.authority.registry.current
        at = workloads.recorder.clock.monotonic()
        try:
            due = at - swept_at >= sweep_seconds
            if due or current is not judged:
                await end_unfounded(workloads)
                judged = current
            if due:
                swept_at = at
                await end_lapsed(workloads)
                before = workloads.recorder.clock.now() - workloads.limits.forget_seconds * 1000
                forget = partial(workloads.instances.forget_ended, before=UnixMillis(before))
                await anyio.to_thread.run_sync(forget)
            seen = await _record_waiting(workloads, seen)
        except AnswerableError as error:
            _log.warning("instances cannot be tended right now: %s", error.message)
        await anyio.sleep(until_round(poll_seconds))


async def written(change: Callable[[], T]) -> T:
    """Run a change of the register in a worker thread, completed even if the caller leaves."""
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
    """Run a round: at the start (`seen` is None) record all unrecorded ends, later those past `GRACE_SECONDS`. Return
    since when each waits."""
    waiting = await anyio.to_thread.run_sync(workloads.instances.unrecorded)
    at = workloads.recorder.clock.monotonic()
    if seen is None:
        await record_ends(workloads)
        return {}
    since = {end.id: seen.get(end.id, at) for end, _ in waiting}
    due = frozenset(name for name, first in since.items() if at - first >= GRACE_SECONDS)
    if due:
        await record_ends(workloads, only=due)
    return since


async def _record(workloads: Workloads, ends: Sequence[tuple[Instance, str]]) -> None:
    """Record each end, then mark the recorded ones in the register, whatever happens to the others.

    Their leases end first, so that neither a full ledger nor a crash leaves one open.
    """
    leased = [("instance", str(one.id)) for one, because in ends if because not in TOLD_BEFORE]
    await end_leases(
        workloads.authority.registry, workloads.applying.live.leases, leased, why="its instance ended"
    )
    done: list[SpiffeId] = []
    left: BaseException | None = None
    try:
        for instance, because in ends:
            entry = _end_entry(workloads.recorder, instance, because)
            _, left = await record_entry(workloads.recorder, entry)
            done.append(instance.id)
            if left is not None:
                break
    finally:
        if done:
            await written(partial(workloads.instances.recorded, done))
    if left is not None:
        raise left


def _end_entry(recorder: Recorder, instance: Instance, because: str) -> Entry:
    """Make the entry. Raises Unavailable if it must name an operator and the sealing key cannot be read."""
    by = instance.ended_by
    return records_workload.workload_ended(
        instance,
        at=recorder.clock.now(),
        because=because,
        pseudonym=pseudonym_of(recorder, by) if by else "",
        sealing=sealing_for(recorder, operator_subject(by)) if by else None,
    )


def _gone(workloads: Workloads, instances: Iterable[Instance]) -> list[SpiffeId]:
    return [one.id for one in instances if not workloads.observer.is_alive(one.process)]
