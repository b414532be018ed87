"""Law 3 of the walk: every intent ends. Runs at start and on a timer, with the functions of the normal path.

Time decides, not process liveness: an intent past its deadline plus the longest an upstream call may take is ended as
`indeterminate`. A true outcome that turns up later is a new entry; nothing is rewritten. Running it twice changes
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.action.outcome import Outcome
from answerable.core.canonical import parse
from answerable.core.identity.principal import UnixMillis
from answerable.core.ledger import records
from answerable.core.ledger.entry import Receipt
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Broken, Unavailable
from answerable.flows.log_outcome import end_intent
from answerable.flows.record_entry import record_entry
from answerable.flows.walk import OpenIntent

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.walk import Walk

AGENTS_PER_ENTRY_MAX = 32
"""So many names of agents, with their counts, fit into a leaf."""


def recover_from_ledger(walk: Walk) -> None:
    """Rebuild what only the ledger knows: intents without an end, and how much of each mandate's budget is used.

    For the start of a process, before anything is in flight. Raises Broken (`ledger.leaf_malformed`) for an intent or
    an end that this version did not write.
    """
    opened: dict[int, OpenIntent] = {}
    used: dict[MandateId, int] = {}
    for stored in walk.ledger.replay():
        if stored.tag == Tag.INTENT:
            leaf = _leaf(stored)
            opened[stored.index] = _open_intent(stored, leaf, walk.limits.upstream_ms_max)
            mandate = MandateId(str(leaf.get("mandate")))
            used[mandate] = used.get(mandate, 0) + 1
        elif stored.tag in (Tag.OUTCOME, Tag.INDETERMINATE):
            opened.pop(_int(_leaf(stored), "intent"), None)
    walk.open_intents.update(opened)
    for mandate, calls in used.items():
        walk.mandates.restore_used(mandate, calls)


async def settle_open_intents(walk: Walk, *, overdue_only: bool = True) -> int:
    """End every intent that is due; returns how many. At reopening nothing of this process is in flight, so intents
    past their own deadline are due at once (`overdue_only=False`). Raises Unavailable; what is left is due again.

    Never waits for room: meanwhile the true outcome could turn up, and what is not known must not be said after it.
    """
    now = walk.clock.now()
    grace = 0 if overdue_only else walk.limits.upstream_ms_max
    # What is due later than any intent of this moment was begun before the wall clock was set back: do not wait years.
    latest = now + walk.limits.intent_ttl_ms + walk.limits.upstream_ms_max
    due = [one for one in walk.open_intents.values() if one.due_at - grace <= now or one.due_at > latest]
    settled = 0
    for found in due:
        outcome = Outcome(status="indeterminate", detail="no outcome was recorded before the deadline")
        ended = await end_intent(
            walk, intent=found.receipt, action_id=found.action_id, outcome=outcome, patient=False
        )
        settled += ended is not None
    return settled


async def record_counted_refusals(walk: Walk) -> None:
    """Write down, in aggregate entries, the refusals that were only counted since the last call.

    Raises Unavailable; what is not written down then is kept for the next call.
    """
    while True:
        failures = walk.strangers()
        strangers = {
            step: new for step, n in failures.items() if (new := n - walk.strangers_recorded.get(step, 0)) > 0
        }
        by_agent = walk.quota.drain_counted(AGENTS_PER_ENTRY_MAX)
        if not by_agent and not strangers:
            return
        entry = records.refusals_counted(at=walk.clock.now(), by_agent=by_agent, strangers=strangers)
        try:
            _, left = await record_entry(walk.ledger, entry)
        except Unavailable:
            walk.quota.restore_counted(by_agent)
            raise
        walk.strangers_recorded.update(failures)
        if left is not None:
            raise left


def _open_intent(stored: StoredEntry, leaf: dict[str, JSONValue], upstream_ms_max: int) -> OpenIntent:
    return OpenIntent(
        action_id=str(leaf.get("action")),
        receipt=Receipt(index=stored.index, leaf_hash=stored.leaf_hash),
        due_at=UnixMillis(_int(leaf, "deadline") + upstream_ms_max),
    )


def _leaf(stored: StoredEntry) -> dict[str, JSONValue]:
    leaf = parse(stored.leaf)
    if not isinstance(leaf, dict):
        raise Broken(f"the leaf of entry {stored.index} is not an object", code="ledger.leaf_malformed")
    return leaf


def _int(leaf: dict[str, JSONValue], name: str) -> int:
    value = leaf.get(name)
    if not isinstance(value, int):
        raise Broken(f"a leaf has no whole number `{name}`", code="ledger.leaf_malformed")
    return value
