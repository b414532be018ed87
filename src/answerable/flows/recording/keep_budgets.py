"""Store budget counts beside the mandates, so that a start need not count the whole log again.

The intents in the ledger, and the amounts that their outcomes return, are the record. The stored count goes up to an
entry on stable storage; a start adds the entries after it. A count is never ahead of the log, so a crash makes no
budget smaller or larger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.ledger.budget_counts import amounts_in, reserved_by
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.errors.codes.ledger import LEDGER_ENTRIES_MISSING, LEDGER_LEAF_MALFORMED

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.budget_counts import BudgetCounts
    from answerable.core.mandate.budget import Reserved
    from answerable.ports.ledger import Ledger
    from answerable.ports.mandate_register import MandateRegister


def keep_budgets(ledger: Ledger, mandates: MandateRegister, counts: BudgetCounts) -> None:
    """Store the counts whose entries are on stable storage. Raises Unavailable; unstored counts are made again at the
    start."""
    due = counts.due(ledger.size)
    if due is not None:
        mandates.keep_used(ledger.origin, *due)
        counts.kept()


def restore_budgets(ledger: Ledger, mandates: MandateRegister, counts: BudgetCounts) -> None:
    """At a start, load the stored counts and add the intents and outcomes after them.

    Raises Broken (`ledger.entries_missing`) when more was counted than the log holds, and `ledger.leaf_malformed`.
    """
    counted = mandates.used_up_to(ledger.origin)
    if counted > ledger.size:
        raise LEDGER_ENTRIES_MISSING(
            f"the log holds {ledger.size} entries, and budgets were counted up to entry {counted}: it was cut or "
            "replaced by an older copy"
        )
    counts.restored(mandates.kept_used(ledger.origin))
    _count_on(ledger, counts, counted)
    # Everything up to here is counted, also if the last entries change no budget.
    counts.entries = ledger.size
    for account, amounts in counts.used().items():
        mandates.restore_used(account, amounts)


def _count_on(ledger: Ledger, counts: BudgetCounts, counted: int) -> None:
    """Count the entries from `counted` on, in order. Of several ends of one intent only the first gives back."""
    began: dict[int, Reserved] = {}
    ended: set[JSONValue] = set()
    for stored in ledger.replay(counted):
        if stored.tag == Tag.INTENT:
            began[stored.index] = reserved_by(leaf_of(stored))
            counts.took(began[stored.index], stored.index)
        elif stored.tag == Tag.OUTCOME:
            leaf = leaf_of(stored)
            returned, overrun = amounts_in(leaf, "returned"), amounts_in(leaf, "overrun")
            if (returned or overrun) and leaf.get("intent") not in ended:
                ended.add(leaf.get("intent"))
                reserved = _reserved(ledger, leaf.get("intent"), began)
                counts.ended(reserved, returned, overrun, stored.index)


def _reserved(ledger: Ledger, intent: JSONValue, began: dict[int, Reserved]) -> Reserved:
    """Return the amounts reserved by the intent of an outcome, which may have been counted before this start."""
    if not isinstance(intent, int):
        raise LEDGER_LEAF_MALFORMED("an outcome does not name its intent")
    return began.get(intent) or reserved_by(leaf_of(ledger.entry(intent)))
