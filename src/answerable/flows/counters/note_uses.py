"""Note which agents were used, for the rule that suspends dormant agents. Each process reads its own log.

An agent is used when it is enrolled, has an intent or a refusal, or its document is applied. The ledger has all of
that. Only new entries are read; the first reading goes back as far as the rule looks. The result is stored where the
processes of all shards read it, so that it survives a restart and no agent is judged by one log alone.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel
import anyio.to_thread

from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.state.walk import Walk
    from answerable.ports.agent_uses import AgentUses

DAY_MILLIS: Final = 86_400_000
ENTRIES_AT_A_TIME: Final = 500
PAUSE_SECONDS: Final = 0.02
"""Pause between two such readings, so that actions do not wait."""
AT_THE_END_MAX: Final = 5_000
"""Most entries read before a process ends; beyond that the next process reads them."""

_USED: Final = frozenset({Tag.INTENT, Tag.REFUSAL, Tag.WORKLOAD_ENROLLED})
_AGENT_KEY: Final = "Agent/"


async def note_uses(walk: Walk, uses: AgentUses, *, days: int, today: bool = False) -> None:
    """Read this process's log up to its current end. days: how far the rule looks back; if that is further than before,
    the log is read again from there. today: whether agents can be used today although no entry says so.

    Raises Unavailable (`register.*`).
    """
    read = await _read_to(walk, uses, days)
    size = walk.ledger.size
    start, found = await _days_with_entries(walk, read, size, days)
    if today:
        found.add(walk.clock.now() // DAY_MILLIS)
    used = await _used_since(walk, start, size)
    keep = partial(uses.keep, walk.ledger.origin, read_to=size, window=days, used=used, days=found)
    await anyio.to_thread.run_sync(keep)


async def note_last_uses(walk: Walk, uses: AgentUses, *, days: int) -> None:
    """Read the log before this process ends, so that no other process has to wait for its return. If much is unread,
    leave it to the next process.

    Raises Unavailable (`register.*`).
    """
    if walk.ledger.size - await _read_to(walk, uses, days) <= AT_THE_END_MAX:
        await note_uses(walk, uses, days=days)


async def _read_to(walk: Walk, uses: AgentUses, days: int) -> int:
    before = (await anyio.to_thread.run_sync(uses.logs)).get(walk.ledger.origin)
    return before.read_to if before is not None and before.window >= days else 0


async def _days_with_entries(walk: Walk, read: int, size: int, most: int) -> tuple[int, set[int]]:
    """Return the index to read from, and the days that have entries from there: at most the latest `most` before today.

    If the clock was set back, neighbouring days may be missed; an agent then becomes dormant later.
    """
    today = walk.clock.now() // DAY_MILLIS
    found: set[int] = set()
    index = size
    while index > read and len(found) <= most:
        day = _at(walk.ledger.entry(index - 1)) // DAY_MILLIS
        if day <= today:
            # A day in the future comes from a clock that was set back since.
            found.add(day)
        index = first_entry_since(walk, day * DAY_MILLIS, index)
        await anyio.lowlevel.checkpoint()
    return max(index, read), found


async def _used_since(walk: Walk, start: int, size: int) -> dict[AgentId, UnixMillis]:
    used: dict[AgentId, UnixMillis] = {}
    while start < size:
        for count, stored in enumerate(walk.ledger.replay(start), 1):
            _note(walk, used, stored)
            start = stored.index + 1
            if count >= ENTRIES_AT_A_TIME or start >= size:
                break
        else:
            break
        await anyio.sleep(PAUSE_SECONDS)
    return used


def _note(walk: Walk, used: dict[AgentId, UnixMillis], stored: StoredEntry) -> None:
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
        used[agent] = max(at, used.get(agent, at))


def first_entry_since(walk: Walk, since: int, size: int) -> int:
    """Return the index of the first of `size` entries that is not older, by binary search: entry times ascend unless a
    clock was set back."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if _at(walk.ledger.entry(middle)) < since:
            low = middle + 1
        else:
            high = middle
    return low


def _at(stored: StoredEntry) -> UnixMillis:
    return _instant(leaf_of(stored))


def _instant(leaf: dict[str, JSONValue]) -> UnixMillis:
    at = leaf.get("at")
    return UnixMillis(at if isinstance(at, int) else 0)
