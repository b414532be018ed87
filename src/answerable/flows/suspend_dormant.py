"""Suspending agents that nobody has used for a long time: an identity that is not needed is only a way in.

An agent is in use when it was enrolled, had an intent or was refused, or when its document was applied. What is known
of that is in the ledger; each round reads only what is new, and the first one only as far back as the rule looks.

Laws:
- only days count on which it could have been used: those (UTC) with an entry in the ledger, which a server that runs
  makes every time its authorities change, and those on which this server made a round. A server that was off for a
  year, or a clock that jumps a year ahead, adds one day at most;
- an agent is dormant when it was not used today, nor on the last `days` such days before;
- the first round suspends nobody, nor does one for which the clock has gone ahead of the time that has passed.

Only for a ledger that is one log: what an agent does in another shard is not seen here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel

from answerable.core.identity.principal import AgentId
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError
from answerable.flows.set_agent_standing import set_agent_standing

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.principal import UnixMillis
    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.walk import Walk
    from answerable.flows.workloads import Workloads

RULE: Final = "rule:dormant"
"""Who suspends, as the ledger names it."""
DAY_MILLIS: Final = 86_400_000
AHEAD_MILLIS_MAX: Final = 3_600_000
"""How far the clock may go ahead of the time that has passed since it was looked at last."""
ROUND_SECONDS: Final = 3_600.0
ENTRIES_AT_A_TIME: Final = 500
PAUSE_SECONDS: Final = 0.02
"""Between two such readings: nobody waits for this, and actions do not wait either."""

_USED: Final = frozenset({Tag.INTENT, Tag.REFUSAL, Tag.WORKLOAD_ENROLLED})
_AGENT_KEY: Final = "Agent/"

_log: Final = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Dormancy:
    """What earlier rounds found. read_to: ledger index. used: last use by agent, Unix milliseconds.

    days: on which agents could have been used, by number since 1970. clock: wall and monotonic time of an earlier
    round, in milliseconds, by which the clock is judged.
    """

    read_to: int = -1
    used: dict[AgentId, int] = field(default_factory=dict)
    days: set[int] = field(default_factory=set)
    clock: tuple[int, float] | None = None


async def suspend_dormant(workloads: Workloads, dormancy: Dormancy, *, days: int) -> tuple[AgentId, ...]:
    """One round: suspend active agents without use for `days`; returns them. 0 days suspends nobody.

    Where fewer days are known on which they could have been used, nobody is suspended. Raises Unavailable, Malformed
    (`registry.*`).
    """
    walk = workloads.walk
    if days < 1 or walk.ledger.size == 0 or not _is_clock_sound(walk, dormancy):
        return ()
    since = await _first_day(walk, dormancy, days) * DAY_MILLIS
    if since < 0:
        return ()
    await _catch_up(walk, dormancy)
    suspended: list[AgentId] = []
    for name, agent in sorted(walk.registry.current.agents.items()):
        if agent.status == "active" and dormancy.used.get(name, 0) < since and not _lives(workloads, name):
            await set_agent_standing(workloads, name, "suspended", by=RULE)
            suspended.append(name)
    return tuple(suspended)


async def follow_dormancy(workloads: Workloads, *, days: int, round_seconds: float = ROUND_SECONDS) -> None:
    """A round now and then, for ever; what fails is tried again with the next. Cancelled by whoever began it."""
    dormancy = Dormancy()
    while days:
        try:
            for name in await suspend_dormant(workloads, dormancy, days=days):
                _log.warning("agent %s was not used for %d days and is suspended", name, days)
        except AnswerableError as error:
            _log.warning("dormant agents cannot be looked for right now: %s", error.message)
        await anyio.sleep(round_seconds)


def _is_clock_sound(walk: Walk, dormancy: Dormancy) -> bool:
    """False for the first round, and once after each jump: from then on the clock is judged by where it is now."""
    now, elapsed = walk.clock.now(), walk.clock.monotonic() * 1000
    before = dormancy.clock
    if before is not None and now - before[0] - (elapsed - before[1]) <= AHEAD_MILLIS_MAX:
        return True
    if before is not None:
        _log.warning("the clock has jumped ahead: nobody is suspended as dormant in this round")
    dormancy.clock = (now, elapsed)
    return False


async def _first_day(walk: Walk, dormancy: Dormancy, days: int) -> int:
    """The earliest of `days` days before today on which agents could have been used; -1 where there are fewer.

    Where the clock was set back, days next to that may be overlooked: then it takes longer until an agent is dormant.
    """
    today = walk.clock.now() // DAY_MILLIS
    known, found = frozenset(dormancy.days), {today}
    index = walk.ledger.size
    while index > 0 and len(found) <= days:
        day = _at(walk.ledger.entry(index - 1)) // DAY_MILLIS
        if day in known:
            # Earlier ones were found with it.
            break
        if day <= today:
            # Others are of a clock that was set back since.
            found.add(day)
        index = _first_after(walk, day * DAY_MILLIS, index)
        await anyio.lowlevel.checkpoint()
    if dormancy.read_to < 0:
        dormancy.read_to = index
    counted = sorted(day for day in known | found if day <= today)[-days - 1 :]
    dormancy.days = set(counted)
    return counted[0] if len(counted) > days else -1


async def _catch_up(walk: Walk, dormancy: Dormancy) -> None:
    while dormancy.read_to < walk.ledger.size:
        for count, stored in enumerate(walk.ledger.replay(dormancy.read_to), 1):
            _note(walk, dormancy, stored)
            dormancy.read_to = stored.index + 1
            if count >= ENTRIES_AT_A_TIME:
                break
        else:
            return
        await anyio.sleep(PAUSE_SECONDS)


def _note(walk: Walk, dormancy: Dormancy, stored: StoredEntry) -> None:
    if stored.tag not in _USED and stored.tag != Tag.REGISTRY_CHANGE:
        return
    leaf = leaf_of(stored)
    at = _instant(leaf)
    names: list[str] = []
    if stored.tag in _USED:
        names = [str(leaf.get("agent"))]
    else:
        changes = (payload_of(stored, leaf, walk.subject_keys.find) or {}).get("changes")
        if isinstance(changes, dict):
            names = [key.removeprefix(_AGENT_KEY) for key in changes if key.startswith(_AGENT_KEY)]
    for name in names:
        agent = AgentId(name)
        dormancy.used[agent] = max(at, dormancy.used.get(agent, 0))


def _first_after(walk: Walk, since: int, size: int) -> int:
    """Index of the first of `size` entries that is not older, by halving: times ascend but for clocks that were set."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if _at(walk.ledger.entry(middle)) < since:
            low = middle + 1
        else:
            high = middle
    return low


def _at(stored: StoredEntry) -> int:
    return _instant(leaf_of(stored))


def _instant(leaf: dict[str, JSONValue]) -> UnixMillis | int:
    at = leaf.get("at")
    return at if isinstance(at, int) else 0


def _lives(workloads: Workloads, agent: AgentId) -> bool:
    """An instance that is renewed is in use, whatever it does."""
    now = workloads.walk.clock.now()
    return any(one.is_live(now) for one in workloads.instances.of_agent(agent))
