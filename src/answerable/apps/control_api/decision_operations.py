"""Decisions: asked again, a stretch of the ledger at a time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import anyio.lowlevel
from anyio import to_thread

from answerable.apps.control_api.call import Operation, instant
from answerable.apps.control_api.schemas import COUNT, TEXT
from answerable.core.identity.principal import UnixMillis
from answerable.errors import Malformed, shown
from answerable.flows.tell_possible import Then, possible
from answerable.verify.replayed import VERDICTS
from answerable.verify.ledger_replay import STATED, replay_entries
from answerable.verify.replay_statements import Statements

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.verify.replayed import Replayed

ENTRIES_PER_CALL: Final = 20_000
TOLD_MAX: Final = 200
"""Decisions of one stretch that are told beside being counted: those that are not the same."""
RESOURCE_CHARS_MAX: Final = 1_024
_AT_ONCE: Final = 256


async def replay_decisions(call: Call) -> Answer:
    """Ask the decisions among the entries from `start` on again. Other callers are served between small batches."""
    text = call.query.get("start", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise Malformed(f"{shown(text)} is not the index of an entry", code="request.query")
    start, size = int(text), call.walk.ledger.size
    find, statements = call.walk.subject_keys.find, Statements()
    counts: Counter[str] = Counter()
    told: list[Replayed] = []
    batch: list[StoredEntry] = []
    stop = min(size, start + ENTRIES_PER_CALL)
    for stored in call.walk.ledger.replay():
        if stored.index >= stop:
            break
        # Of what came before, only what is referred to.
        if stored.index >= start or stored.tag in STATED:
            batch.append(stored)
        if len(batch) >= _AT_ONCE:
            await _asked(batch, find, statements, counts, told)
            batch = []
        elif stored.index % _AT_ONCE == 0:
            await anyio.lowlevel.checkpoint()
    await _asked(batch, find, statements, counts, told)
    return {
        "counts": {verdict: counts[verdict] for verdict in VERDICTS if counts[verdict]},
        "next": stop if stop < size else None,
        "size": size,
        "told": [one.as_value() for one in told[:TOLD_MAX]],
    }


async def _asked(
    batch: list[StoredEntry],
    find: FindKey,
    statements: Statements,
    counts: Counter[str],
    told: list[Replayed],
) -> None:
    found = await to_thread.run_sync(lambda: list(replay_entries(batch, find, statements=statements)))
    counts.update(one.verdict for one in found)
    told += [one for one in found if one.verdict in ("differs", "cannot_tell")]


async def tell_possible(call: Call) -> Answer:
    """What one agent could do at a time, or who could: by the ledger, as of `at`, or of now."""
    text = call.query.get("at", "")
    at = UnixMillis(_number(text)) if text else call.walk.clock.now()
    agent, resource = call.query.get("agent", ""), call.query.get("resource", "")
    if len(resource) > RESOURCE_CHARS_MAX:
        raise Malformed("the name of the resource is too long", code="request.query")
    then, find = Then(at=at), call.walk.subject_keys.find
    for stored in call.walk.ledger.replay():
        if not then.take(stored, find):
            break
        if stored.index % _AT_ONCE == 0:
            await anyio.lowlevel.checkpoint()
    agents = (agent,) if agent else ()
    action = call.query.get("action", "")
    found = await to_thread.run_sync(lambda: possible(then, agents=agents, action=action, resource=resource))
    return {
        "at": instant(at),
        "registry": then.registry,
        "withheld": then.withheld,
        "unfollowed": then.unfollowed,
        "agents": [one.as_value() for one in found],
    }


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise Malformed(f"{shown(text)} is no whole number of milliseconds", code="request.query")
    return int(text)


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="replay_decisions",
        method="GET",
        path="/v1/decisions/replay",
        summary="Past decisions, derived again from the ledger, so many entries at a time",
        answer="Replayed",
        query=(("start", COUNT, "index of the entry to begin with; 0 when not given"),),
        run=replay_decisions,
    ),
    Operation(
        id="tell_possible",
        method="GET",
        path="/v1/decisions/possible",
        summary="What an agent could do at a time by what was in force then, or which agents could",
        answer="Possible",
        query=(
            ("action", TEXT, "name of a capability"),
            ("agent", TEXT, "name of an agent; all that were active when not given"),
            ("resource", TEXT, "id of what it is done to; any when not given"),
            ("at", COUNT, "Unix milliseconds; now when not given"),
        ),
        run=tell_possible,
    ),
)
