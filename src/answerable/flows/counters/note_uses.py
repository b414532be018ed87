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
    from answerable.flows.state.parts import Recorder
    from answerable.ports.agent_uses import AgentUses
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger
    from answerable.ports.subject_keys import SubjectKeys

DAY_MILLIS: Final = 86_400_000
ENTRIES_AT_A_TIME: Final = 500
PAUSE_SECONDS: Final = 0.02
"""Pause between two such readings, so that actions do not wait."""
AT_THE_END_MAX: Final = 5_000
"""Most entries read before a process ends; beyond that the next process reads them."""

_USED: Final = frozenset({Tag.INTENT, Tag.REFUSAL, Tag.WORKLOAD_ENROLLED})
_AGENT_KEY: Final = "Agent/"


async def note_uses(recorder: Recorder, uses: AgentUses, *, days: int, today: bool = False) -> None:
    """Read this process's log up to its current end. days: how far the rule looks back; if that is further than before,
    the log is read again from there. today: whether agents can be used today although no entry says so.

    Raises Unavailable (`register.*`).
    """
    read = await _read_to(recorder.ledger, uses, days)
    size = recorder.ledger.size
    start, found = await _days_with_entries(recorder.ledger, recorder.clock, read, size, days)
    if today:
        found.add(recorder.clock.now() // DAY_MILLIS)
    used = await _used_since(recorder, start, size)
    keep = partial(uses.keep, recorder.ledger.origin, read_to=size, window=days, used=used, days=found)
    await anyio.to_thread.run_sync(keep)


async def note_last_uses(recorder: Recorder, uses: AgentUses, *, days: int) -> None:
    """Read the log before this process ends, so that no other process has to wait for its return. If much is unread,
    leave it to the next process.

    Raises Unavailable (`register.*`).
    """
    if recorder.ledger.size - await _read_to(recorder.ledger, uses, days) <= AT_THE_END_MAX:
        await note_uses(recorder, uses, days=days)


async def _read_to(ledger: Ledger, uses: AgentUses, days: int) -> int:
    before = (await anyio.to_thread.run_sync(uses.logs)).get(ledger.origin)
    return before.read_to if before is not None and before.window >= days else 0


async def _days_with_entries(
    ledger: Ledger, clock: Clock, read: int, size: int, most: int
) -> tuple[int, set[int]]:
    """Return the index to read from, and the days that have entries from there: at most the latest `most` before today.

    If the clock was set back, neighbouring days may be missed; an agent then becomes dormant later.
    """
    today = clock.now() // DAY_MILLIS
    found: set[int] = set()
    index = size
    while index > read and len(found) <= most:
        day = _at(ledger.entry(index - 1)) // DAY_MILLIS
        if day <= today:
            # A day in the future comes from a clock that was set back since.
            found.add(day)
        index = first_entry_since(ledger, day * DAY_MILLIS, index)
        await anyio.lowlevel.checkpoint()
    return max(index, read), found


async def _used_since(recorder: Recorder, start: int, size: int) -> dict[AgentId, UnixMillis]:
    used: dict[AgentId, UnixMillis] = {}
    while start < size:
        for count, stored in enumerate(recorder.ledger.replay(start), 1):
            _note(recorder.subject_keys, used, stored)
            start = stored.index + 1
            if count >= ENTRIES_AT_A_TIME or start >= size:
                break
        else:
            break
        await anyio.sleep(PAUSE_SECONDS)
    return used


def _note(subject_keys: SubjectKeys, used: dict[AgentId, UnixMillis], stored: StoredEntry) -> None:
    if stored.tag not in _USED and stored.tag != Tag.REGISTRY_CHANGE:
        return
    leaf = leaf_of(stored)
    at = _instant(leaf)
    names: list[str] = []
    if stored.tag in _USED:
        names = [str(leaf.get("agent"))]
    else:
        changes = (payload_of(stored, leaf, subject_keys.find) or {}).get("changes")
        if isinstance(changes, dict):
            names = [key.removeprefix(_AGENT_KEY) for key in changes if key.startswith(_AGENT_KEY)]
    for name in names:
        agent = AgentId(name)
        used[agent] = max(at, used.get(agent, at))


def first_entry_since(ledger: Ledger, since: int, size: int) -> int:
    """Return the index of the first of `size` entries that is not older, by binary search: entry times ascend unless a
    clock was set back."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if _at(ledger.entry(middle)) < since:
            low = middle + 1
        else:
            high = middle
    return low


def _at(stored: StoredEntry) -> UnixMillis:
    return _instant(leaf_of(stored))


def _instant(leaf: dict[str, JSONValue]) -> UnixMillis:
    at = leaf.get("at")
    return UnixMillis(at if isinstance(at, int) else 0)
