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
from answerable.flows.log_outcome import end_intent
from answerable.flows.walk import OpenIntent

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.walk import Walk


def recover_from_ledger(walk: Walk) -> None:
    """Rebuild what only the ledger knows: intents without an end, and how much of each mandate's budget is used."""
    opened: dict[int, OpenIntent] = {}
    used: dict[MandateId, int] = {}
    for stored in walk.ledger.replay():
        if stored.tag == Tag.INTENT:
            leaf = _leaf(stored)
            opened[stored.index] = _open_intent(stored, leaf, walk.limits.upstream_ms_max)
            mandate = MandateId(str(leaf["mandate"]))
            used[mandate] = max(used.get(mandate, 0), _int(leaf["call"]))
        elif stored.tag in (Tag.OUTCOME, Tag.INDETERMINATE):
            opened.pop(_int(_leaf(stored)["intent"]), None)
    walk.open_intents.update(opened)
    for mandate, calls in used.items():
        walk.mandates.restore_used(mandate, calls)
    walk.rescan = False


async def settle_open_intents(walk: Walk, *, overdue_only: bool = True) -> int:
    """End every intent that is due; returns how many. At reopening nothing of this process is in flight, so intents
    past their own deadline are due at once (`overdue_only=False`)."""
    if walk.rescan:
        recover_from_ledger(walk)
    now = walk.clock.now()
    grace = 0 if overdue_only else walk.limits.upstream_ms_max
    due = [open_intent for open_intent in walk.open_intents.values() if open_intent.due_at - grace <= now]
    for open_intent in due:
        outcome = Outcome(status="indeterminate", detail="no outcome was recorded before the deadline")
        await end_intent(walk, intent=open_intent.receipt, action_id=open_intent.action_id, outcome=outcome)
    return len(due)


async def record_counted_refusals(walk: Walk) -> None:
    """Write down, in one aggregate entry, the refusals that were only counted since the last call."""
    by_agent, strangers = walk.quota.drain_counted(), walk.strangers()
    if by_agent or strangers:
        entry = records.refusals_counted(at=walk.clock.now(), by_agent=by_agent, strangers=strangers)
        await walk.ledger.append(entry)


def _open_intent(stored: StoredEntry, leaf: dict[str, JSONValue], upstream_ms_max: int) -> OpenIntent:
    return OpenIntent(
        action_id=str(leaf["action"]),
        receipt=Receipt(index=stored.index, leaf_hash=stored.leaf_hash),
        due_at=UnixMillis(_int(leaf["deadline"]) + upstream_ms_max),
    )


def _leaf(stored: StoredEntry) -> dict[str, JSONValue]:
    leaf = parse(stored.leaf)
    if not isinstance(leaf, dict):
        raise TypeError("a leaf is an object")
    return leaf


def _int(value: JSONValue) -> int:
    if not isinstance(value, int):
        raise TypeError("expected an integer")
    return value
