"""Decisions: replay the ledger's decisions, a range of entries at a time, and say what an agent could do."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from anyio import to_thread
from msgspec.structs import replace

from answerable.api import decision_answers as answers
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import COUNT, TEXT
from answerable.errors import shown
from answerable.errors.codes.services import REQUEST_QUERY
from answerable.flows.policy.explain_what_if import told_possible
from answerable.flows.walk.moment import moment_now
from answerable.ports.search_process import POSSIBLE, REPLAY, PossibleQuestion, ReplayQuestion

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call

RESOURCE_CHARS_MAX: Final = 1_024
ENTRIES_MAX: Final = 20_000
"""Entries that one answer covers."""
MILLIS_MAX: Final = 253_402_300_799_999
"""The end of the year 9999."""


@operation(
    "GET",
    "/v1/decisions/replay",
    id="replay_decisions",
    summary="Past decisions, derived again from the ledger, so many entries at a time",
    answer=answers.Replayed,
    query=(
        (
            "start",
            COUNT,
            "index of the entry to begin with; 0 when not given. Go on at `next`, until that is null",
        ),
        ("stop", COUNT, "index of the first entry that is not asked again; none when not given"),
        (
            "entries",
            COUNT,
            f"at most so many entries in one answer; {ENTRIES_MAX} when not given, and at most",
        ),
        ("log", TEXT, "name of another shard, whose log is read; that of this process when not given"),
    ),
    is_long=True,
)
async def replay_stretch(call: Call) -> answers.Replayed:
    """Replay the decisions among the entries from `start` on, as many as one answer covers. Other actions proceed
    meanwhile."""
    stop = call.query.get("stop", "")
    entries = _index(call.query.get("entries", str(ENTRIES_MAX)))
    if not 0 < entries <= ENTRIES_MAX:
        raise REQUEST_QUERY(f"entries must be 1 to {ENTRIES_MAX}, got {entries}")
    log = call.query.get("log", "")
    question = ReplayQuestion(
        start=_index(call.query.get("start", "0")),
        stop=_index(stop) if stop else None,
        limit=entries,
        log=log,
    )
    found = await call.product.searches.ask(REPLAY, question)
    return replace(found, told=tuple(replace(one, shard=log) for one in found.told))


@operation(
    "GET",
    "/v1/decisions/possible",
    id="tell_possible",
    summary="What an agent could do at a time by what was in force then, or which agents could",
    answer=answers.Possible,
    query=(
        ("action", TEXT, "name of a capability"),
        ("agent", TEXT, "name of an agent; all that were registered when not given"),
        ("resource", TEXT, "id of what it is done to; any when not given"),
        ("at", COUNT, "Unix milliseconds; now when not given"),
    ),
    is_long=True,
)
async def explain_what_if(call: Call) -> answers.Possible:
    """Say what one agent could do, or which agents could do an action: now, by the gateway's own checks, or at `at`,
    from the ledger: of all its entries, or with `search.behind`."""
    text, action = call.query.get("at", ""), call.query.get("action", "")
    agent, resource = call.query.get("agent", ""), call.query.get("resource", "")
    if len(resource) > RESOURCE_CHARS_MAX:
        raise REQUEST_QUERY("the name of the resource is too long")
    if text:
        question = PossibleQuestion(action=action, agent=agent, resource=resource, at=_number(text))
        return await call.product.searches.ask(POSSIBLE, question)
    moment = await moment_now(
        call.walk.recorder, call.walk.planning, call.walk.deciding, action, link=call.walk.live.link
    )
    return await to_thread.run_sync(partial(told_possible, moment, agent=agent, resource=resource))


def _index(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise REQUEST_QUERY(f"{shown(text)} is not the index of an entry")
    return int(text)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) <= MILLIS_MAX):
        raise REQUEST_QUERY(f"{shown(text)} is not a whole number of milliseconds")
    return int(text)


OPERATIONS: Final[tuple[Operation, ...]] = (
    replay_stretch,
    explain_what_if,
)
