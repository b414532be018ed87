"""Suspend dormant agents: an identity that is not used only adds attack surface.

Laws: - only days on which an agent could have been used count: days (UTC) with an entry in a ledger, which a
  running server
 writes at every change of its authorities, and days on which a server made a round. A server that was off for a
 year, or a clock that jumps a year ahead, adds one day at most; - an agent is dormant if no shard's log saw it
  today or on the last `days` counted days; - the first round suspends nobody, nor does a round in which the
  clock ran ahead of the elapsed time; - a round waits for each shard that has not reported since it began,
  unless everything it published is known. Until
 then nobody is suspended, and this process's log names the shards it waits for.

Of several processes that judge, the one whose log comes first by name suspends.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from answerable.errors import AnswerableError
from answerable.flows.counters.note_uses import DAY_MILLIS, note_uses
from answerable.flows.registry.set_agent_status import set_agent_status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.identity.names.principal import AgentId
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.ports.agent_uses import AgentUses, LogRead
    from answerable.ports.clock import Clock

RULE: Final = "rule:dormant"
"""Name under which the ledger records the suspension."""
AHEAD_MILLIS_MAX: Final = 3_600_000
"""How far the clock may run ahead of the elapsed time since the last round."""
ROUND_SECONDS: Final = 3_600.0
NOTE_SECONDS: Final = 60.0
"""How often each process stores what it saw, where others depend on it."""
PATIENCE: Final = 5
"""Checks of a silent shard before a warning is logged."""

_log: Final = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Dormancy:
    """Progress of a process's rounds.

    `clock`: wall and monotonic time of an earlier round, in milliseconds, to detect jumps. `asked`: how often each log
    had reported when this round began; None between rounds. `candidates`: agents dormant then, as far as known.
    `waiting`: logs that have not reported since. `looks`: number of checks of them.
    """

    clock: tuple[int, float] | None = None
    asked: dict[str, int] | None = None
    candidates: frozenset[AgentId] = frozenset()
    waiting: tuple[str, ...] = ()
    looks: int = 0


async def suspend_dormant(
    workloads: Workloads,
    uses: AgentUses,
    dormancy: Dormancy,
    *,
    days: int,
    logs: Callable[[], Mapping[str, int]] = dict,
) -> tuple[AgentId, ...]:
    """Run one round: suspend active agents without use for `days` days, and return them. 0 days suspends nobody.

    `logs`: how many entries each log of this deployment has published, by origin. If other shards must report first,
    `dormancy.waiting` names them, nobody is suspended, and the next call continues this round. If fewer counted days
    are known, nobody is suspended. Raises Unavailable, Malformed (`registry.*`), and as `logs` does.
    """
    if days < 1 or workloads.recorder.ledger.size == 0:
        return ()
    if dormancy.asked is None and not _is_clock_sound(workloads.recorder.clock, dormancy):
        return ()
    await note_uses(workloads.recorder, uses, days=days, today=True)
    known = await anyio.to_thread.run_sync(uses.logs)
    if dormancy.asked is None:
        dormancy.asked = {log: one.told for log, one in known.items()}
        dormancy.candidates, dormancy.looks = frozenset(await _dormant(workloads, uses, days)), 0
    told = {log: one for log, one in known.items() if one.told > dormancy.asked.get(log, 0)}
    published = await anyio.to_thread.run_sync(logs) if dormancy.candidates else {}
    others = {log: size for log, size in published.items() if log != workloads.recorder.ledger.origin}
    dormancy.waiting = tuple(
        sorted(log for log, size in others.items() if not _is_known(known.get(log), log in told, size, days))
    )
    if dormancy.waiting:
        dormancy.looks += 1
        return ()
    candidates, dormancy.asked, dormancy.candidates = dormancy.candidates, None, frozenset()
    if any(log < workloads.recorder.ledger.origin for log in told if log in others):
        # That shard's process is running and reaches the same result.
        return ()
    # Only agents dormant since the round began: an agent resumed meanwhile is in use, even if its log has not reported.
    suspended = [name for name in await _dormant(workloads, uses, days) if name in candidates]
    for name in suspended:
        why = f"it was not used for {days} days"
        await set_agent_status(workloads, name, "suspended", by=RULE, because=why)
    return tuple(suspended)


async def follow_dormancy(
    workloads: Workloads,
    uses: AgentUses,
    *,
    days: int,
    round_seconds: float = ROUND_SECONDS,
    note_seconds: float = NOTE_SECONDS,
    logs: Callable[[], Mapping[str, int]] = dict,
) -> None:
    """Run a round from time to time until cancelled; failures are retried. Returns at once for 0 days.

    Between rounds it stores what this process saw, for other shards.
    """
    dormancy = Dormancy()
    due_at = anyio.current_time()
    while days:
        try:
            if anyio.current_time() >= due_at:
                for name in await suspend_dormant(workloads, uses, dormancy, days=days, logs=logs):
                    _log.warning("agent %s was not used for %d days and is suspended", name, days)
                _say_waiting(dormancy)
                if dormancy.asked is None:
                    due_at = anyio.current_time() + round_seconds
            else:
                await note_uses(workloads.recorder, uses, days=days)
        except AnswerableError as error:
            _log.warning("dormant agents cannot be determined at the moment: %s", error.message)
        await anyio.sleep(min(note_seconds, round_seconds))


def _is_known(read: LogRead | None, told: bool, published: int, days: int) -> bool:
    """Whether everything a log states about uses is known, or was known a moment ago."""
    if read is None:
        return published == 0
    return read.window >= days and (told or read.read_to >= published)


def _say_waiting(dormancy: Dormancy) -> None:
    if dormancy.waiting and dormancy.looks == PATIENCE:
        _log.warning(
            (
                "no agent is suspended as dormant while the use in these logs is unknown: %s; start "
                "their processes with the same `identity.dormant_days`"
            ),
            ", ".join(dormancy.waiting),
        )


def _is_clock_sound(clock: Clock, dormancy: Dormancy) -> bool:
    """Whether the clock is consistent. False for the first round, and once after each jump."""
    now, elapsed = clock.now(), clock.monotonic() * 1000
    before = dormancy.clock
    if before is not None and now - before[0] - (elapsed - before[1]) <= AHEAD_MILLIS_MAX:
        return True
    if before is not None:
        _log.warning("the clock jumped ahead: no agent is suspended as dormant in this round")
    dormancy.clock = (now, elapsed)
    return False


async def _dormant(workloads: Workloads, uses: AgentUses, days: int) -> list[AgentId]:
    """Return active agents that no log saw on the last `days` counted days before today; none if fewer are known."""
    today = workloads.recorder.clock.now() // DAY_MILLIS
    counted = sorted(day for day in await anyio.to_thread.run_sync(uses.days) if day <= today)[-days - 1 :]
    if len(counted) <= days:
        return []
    last = await anyio.to_thread.run_sync(uses.last)
    since = counted[0] * DAY_MILLIS
    return [
        name
        for name, agent in sorted(workloads.authority.registry.current.agents.items())
        if agent.status == "active" and last.get(name, 0) < since and not _lives(workloads, name)
    ]


def _lives(workloads: Workloads, agent: AgentId) -> bool:
    """Whether an agent has a live instance, which counts as use."""
    now = workloads.recorder.clock.now()
    return any(one.is_live(now) for one in workloads.instances.of_agent(agent))
