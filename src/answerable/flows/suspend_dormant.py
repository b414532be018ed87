"""Suspending agents that nobody has used for a long time: an identity that is not needed is only a way in.

An agent is in use when it was enrolled, had an intent or was refused, or when its document was applied. What is known
of that is in the ledger; each round reads only what is new, and the first one only as far back as the rule looks.

Only for a ledger that is one log: what an agent does in another shard is not seen here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio

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
ROUND_SECONDS: Final = 3_600.0
ENTRIES_AT_A_TIME: Final = 500
PAUSE_SECONDS: Final = 0.02
"""Between two such readings: nobody waits for this, and actions do not wait either."""

_USED: Final = frozenset({Tag.INTENT, Tag.REFUSAL, Tag.WORKLOAD_ENROLLED})
_AGENT_KEY: Final = "Agent/"

_log: Final = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Dormancy:
    """What earlier rounds found. read_to: ledger index. used: last use by agent, Unix milliseconds."""

    read_to: int = -1
    used: dict[AgentId, int] = field(default_factory=dict)


async def suspend_dormant(workloads: Workloads, dormancy: Dormancy, *, days: int) -> tuple[AgentId, ...]:
    """One round: suspend active agents without use for `days`; returns them. 0 days suspends nobody.

    Where the ledger does not reach back that far, nobody is suspended: then nobody was without use for so long that it
    could be known. Raises Unavailable, Malformed (`registry.*`).
    """
    walk = workloads.walk
    if days < 1 or walk.ledger.size == 0:
        return ()
    since = walk.clock.now() - days * DAY_MILLIS
    if _at(walk.ledger.entry(0)) > since:
        return ()
    await _catch_up(walk, dormancy, since)
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


async def _catch_up(walk: Walk, dormancy: Dormancy, since: int) -> None:
    if dormancy.read_to < 0:
        dormancy.read_to = _first_after(walk, since)
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


def _first_after(walk: Walk, since: int) -> int:
    """Index of the first entry that is not older, by halving: times ascend but for clocks that were set."""
    low, high = 0, walk.ledger.size
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
