"""How many calls each mandate has used, kept beside the mandates, so that a start need not count a whole log again.

The intents in the ledger are the record. What is kept is a count up to an entry that is on stable storage; a start adds
the intents after it. A count is never ahead of the log, so a crash cannot make a budget smaller than it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.errors import Broken

if TYPE_CHECKING:
    from answerable.core.mandate.mandate import MandateId
    from answerable.flows.walk import Walk


def keep_budgets(walk: Walk) -> None:
    """Keep the counts that the log has caught up with. Raises Unavailable; what is not kept is counted at the start."""
    due = walk.call_counts.due(walk.ledger.size)
    if due is not None:
        walk.mandates.keep_used(walk.ledger.origin, *due)
        walk.call_counts.kept()


def restore_budgets(walk: Walk, started: list[MandateId], counted: int) -> None:
    """At a start: the kept counts and the intents after them. started: the mandates of intents from `counted` on.

    Raises Broken (`ledger.entries_missing`) when more was counted than the log holds.
    """
    if counted > walk.ledger.size:
        raise Broken(
            f"the log holds {walk.ledger.size} entries, and calls were counted up to entry {counted}: it was cut or "
            "replaced by an older copy",
            code="ledger.entries_missing",
        )
    counts = walk.call_counts
    counts.restored(walk.mandates.kept_used(walk.ledger.origin), started, walk.ledger.size)
    for mandate, calls in counts.calls.items():
        walk.mandates.restore_used(mandate, calls)
