"""Port: commits actions, and records how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.ledger.commit import CommitRequest, Committed, Conflict
    from answerable.core.ledger.entry import Entry, Receipt
    from answerable.core.ledger.runs import Run
    from answerable.core.mandate.budget import Amounts, Reserved


class IntentLog(Protocol):
    """Promises: `commit` takes everything of a request or nothing of it; of callers that race for the last unit of a
    budget, for one approval or for one prepared object, one is Committed; when it returns Committed, the intent is on
    stable storage. Between the last check and the place of the intent in the log no other task runs.

    A Conflict with a receipt is an intent that stands in the log: the caller ends it as `not_started`. Where the log
    has failed since it gave an intent its place, an approval or a prepared object may stay used by an action that never
    starts; nothing is used twice, in this process or the next one, which takes the uses from the log.

    Entries about one mandate are numbered and chained in a run, without a gap. Raises only Unavailable, and whatever
    `make` raises; never a cancellation, which is returned as `left` once the entry is durable.
    """

    async def commit(self, request: CommitRequest) -> Committed | Conflict:
        """Commit an action. Raises Unavailable with effect `none` always, even if the intent was written: without a
        Committed there is no warrant, and nothing is performed."""
        ...

    async def finish(
        self,
        mandate: str,
        make: Callable[[Run | None], Entry],
        *,
        reserved: Reserved | None,
        returned: Amounts,
        overrun: Amounts,
        patient: bool,
        placed: Callable[[Receipt], None],
    ) -> tuple[Receipt, BaseException | None]:
        """Record the end of an intent, and count in its accounts what it returned and what it used beyond its
        reservation. Return the receipt, and the cancellation if the caller left.

        mandate: whose run the end is in; empty for an intent of an earlier process, whose end is in no run. reserved:
        by the intent; None where that is unknown, and then nothing is counted. patient: wait for room in the log.
        placed: called before any other task runs.
        """
        ...

    async def record(
        self,
        mandate: str,
        make: Callable[[Run], Entry],
        *,
        patient: bool = True,
        waits: Callable[[], None] | None = None,
        then: Callable[[Receipt], None] | None = None,
    ) -> tuple[Receipt, BaseException | None]:
        """Make the next entry of a mandate's run durable even if the caller leaves.

        Return its receipt, and the cancellation if the caller left; raise it again after doing what follows from the
        entry. make: builds the entry for a place in the run; called again if the place was lost while waiting for room.
        patient: wait for room; otherwise the entry gets its place before any other task runs, or the call fails. waits,
        then: called before any other task runs, when there is no place yet, and when there is one.
        """
        ...

    def keep_budgets(self) -> None:
        """Store what is counted in the accounts, as far as the log is durable. Raises Unavailable; counts that were not
        stored are made again at the start."""
        ...

    def restore_budgets(self) -> None:
        """At a start, restore what is counted from the stored counts and the log.

        Raises Broken (`ledger.entries_missing`) when more was counted than the log holds, and `ledger.leaf_malformed`.
        """
        ...
