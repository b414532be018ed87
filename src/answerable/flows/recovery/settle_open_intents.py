"""Settle open intents: end every intent without an outcome (law 3 of the walk), at start and on a timer.

Time decides, not process liveness: an intent past its deadline plus the longest upstream call is ended as
`indeterminate`. A true outcome that arrives later is a new entry; nothing is rewritten. Settlement is idempotent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.action.outcome import Outcome
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger import records
from answerable.core.ledger.budget_counts import reserved_by
from answerable.core.ledger.entry import Receipt
from answerable.core.ledger.opened import leaf_of
from answerable.errors import Unavailable
from answerable.errors.codes.ledger import LEDGER_LEAF_MALFORMED
from answerable.flows.counters.keep_history import restore_history
from answerable.flows.entries.keep_citations import recall_citations
from answerable.flows.entries.log_outcome import end_intent
from answerable.flows.people.sign_in import record_refused_sign_ins
from answerable.flows.recording.record_entry import record_entry
from answerable.flows.state.parts import OpenIntent

if TYPE_CHECKING:
    from answerable.core.action.quota import RefusalQuota
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.state.parts import AuthorityRegisters, Counters, Recorder
    from answerable.flows.state.passkey_desk import PasskeyState
    from answerable.flows.state.walk_limits import WalkLimits

AGENTS_PER_ENTRY_MAX = 32
"""Names of agents, with their counts, that fit into one leaf."""


def recover_from_ledger(
    recorder: Recorder, authority: AuthorityRegisters, counters: Counters, limits: WalkLimits
) -> None:
    """Rebuild what only the ledger knows: open intents, used budgets, places of cited statements, tracker counts.

    For the start of a process, before anything is in flight. Raises Broken (`ledger.leaf_malformed`) for an intent or
    an end that this version did not write.
    """
    recorder.intents.restore_budgets()
    recall_citations(recorder)
    restore_history(recorder, authority, counters, limits)
    for stored in recorder.ledger.open_intents():
        recorder.open_intents[stored.index] = _open_intent(stored, limits.upstream_ms_max)


async def settle_open_intents(
    recorder: Recorder,
    authority: AuthorityRegisters,
    counters: Counters,
    limits: WalkLimits,
    *,
    overdue_only: bool = True,
) -> int:
    """End every intent that is due. Return how many.

    `overdue_only=False`: at reopening nothing is in flight, so that intents past their own deadline are due at once.
    Raises Unavailable; the remaining intents stay due. Never waits for room: a true outcome could arrive meanwhile, and
    `indeterminate` must not be recorded after it.
    """
    now = recorder.clock.now()
    grace = 0 if overdue_only else limits.upstream_ms_max
    # An intent due later than any new one began before the wall clock was set back: settle it now, not in years.
    latest = now + limits.intent_ttl_ms + limits.upstream_ms_max
    due = [
        index
        for index, one in recorder.open_intents.items()
        if one.due_at - grace <= now or one.due_at > latest
    ]
    settled = 0
    for index in due:
        found = recorder.open_intents.get(index)
        if found is None:
            # Another task has ended it meanwhile: a second end must not be recorded.
            continue
        outcome = found.known or Outcome(
            status="indeterminate", detail="no outcome was recorded before the deadline"
        )
        ended = await end_intent(
            recorder,
            authority,
            counters,
            limits,
            intent=found.receipt,
            action_id=found.action_id,
            outcome=outcome,
            patient=False,
        )
        settled += ended is not None
    return settled


async def record_counted_refusals(
    recorder: Recorder, passkeys: PasskeyState | None, quota: RefusalQuota
) -> None:
    """Record, in aggregate entries, refusals (and refused sign-ins) that were only counted since the last call.

    Raises Unavailable; the remaining counts are included in the next call.
    """
    await record_refused_sign_ins(recorder, passkeys)
    while True:
        by_agent = quota.drain_counted(AGENTS_PER_ENTRY_MAX)
        if not by_agent:
            return
        entry = records.refusals_counted(at=recorder.clock.now(), by_agent=by_agent)
        try:
            _, left = await record_entry(recorder, entry)
        except Unavailable:
            quota.restore_counted(by_agent)
            raise
        if left is not None:
            raise left


def _open_intent(stored: StoredEntry, upstream_ms_max: int) -> OpenIntent:
    leaf = leaf_of(stored)
    return OpenIntent(
        action_id=str(leaf.get("action")),
        receipt=Receipt(index=stored.index, leaf_hash=stored.leaf_hash),
        due_at=UnixMillis(_int(leaf, "deadline") + upstream_ms_max),
        reserved=reserved_by(leaf),
    )


def _int(leaf: dict[str, JSONValue], name: str) -> int:
    value = leaf.get(name)
    if not isinstance(value, int):
        raise LEDGER_LEAF_MALFORMED(f"the leaf has no integer `{name}`")
    return value
