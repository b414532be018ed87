"""Commit intents in one process: budgets in memory, uses in its registers, and intents in its ledger.

Laws: what an action takes is checked and taken, and its intent gets its place in the log, before any other task runs.
Where the log has no room yet, the budgets are taken before the wait, and the uses after it. A use is stored before the
intent that states it gets its place, so that after a crash nothing is used twice.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import ref

from anyio import get_cancelled_exc_class

from answerable.core.approval.approval import ApprovalId
from answerable.core.ledger.budget_counts import BudgetCounts
from answerable.core.ledger.commit import Committed, Conflict
from answerable.core.ledger.runs import Runs
from answerable.core.mandate.budget import Lack
from answerable.errors import AnswerableError, Unavailable
from answerable.flows.recording.keep_budgets import keep_budgets, restore_budgets
from answerable.flows.recording.record_entry import durable_entry, placed_entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.ledger.commit import CommitRequest, Ended
    from answerable.core.ledger.entry import Entry, Receipt
    from answerable.core.ledger.runs import Run
    from answerable.core.mandate.budget import Amounts, Reserved
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.worlds import Verification


class EmbeddedIntentLog:
    """Implements ports.intent_log.IntentLog over the ledger and the registers of one process."""

    def __init__(self, recorder: Recorder, authority: AuthorityRegisters, verification: Verification) -> None:
        # Weak references avoid a cycle: files are closed as soon as the parts are dropped, not at some later time.
        self._records, self._verifies, self._authority = ref(recorder), ref(verification), authority
        self._runs = Runs(recorder.entropy.bytes)
        self._counts = BudgetCounts()

    async def commit(self, request: CommitRequest) -> Committed | Conflict:
        mandates, reserved = self._authority.mandates, request.reserved
        call = mandates.reserve(request.accounts, reserved.amounts)
        if call is None:
            return Conflict(why="mandate.closed")
        if isinstance(call, Lack):
            return Conflict(why=call)

        def made(run: Run) -> Entry:
            return request.make(run, call)

        is_placed = False

        def counted(placed: Receipt) -> None:
            nonlocal is_placed
            is_placed = True
            self._counts.took(reserved, placed.index)
            request.counts.placed(placed.index)

        uses = self._uses(request) if request.approval or request.prepared else None
        try:
            receipt, left = await self.record(
                request.mandate,
                made,
                waits=request.counts.waits,
                then=counted,
                take=uses.take if uses is not None else None,
            )
        except _EndedError as ended:
            self._give_back(request)
            return Conflict(why=ended.what)
        except Unavailable as failed:
            if not is_placed or failed.effect == "none":
                self._give_back(request)
            raise Unavailable(failed.message, code=failed.code, port=failed.port) from failed
        except AnswerableError:
            self._give_back(request)
            raise
        return Committed(receipt=receipt, call=call, left=left)

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
        """Record an end. What is returned counts from its place in the log on, so that later actions can spend it."""

        def counted(receipt: Receipt) -> None:
            if reserved is not None and (returned or overrun):
                mandates = self._authority.mandates
                mandates.give_back(reserved.accounts, returned)
                mandates.take_more(reserved.accounts, overrun)
                self._counts.ended(reserved, returned, overrun, receipt.index)
            placed(receipt)

        if mandate:
            return await self.record(mandate, make, patient=patient, then=counted)
        entry = make(None)
        submitted, left = await placed_entry(self._recorder(), lambda: entry, patient=patient)
        counted(submitted.receipt)
        return await durable_entry(submitted, left)

    async def record(
        self,
        mandate: str,
        make: Callable[[Run], Entry],
        *,
        patient: bool = True,
        waits: Callable[[], None] | None = None,
        then: Callable[[Receipt], None] | None = None,
        take: Callable[[Entry], None] | None = None,
    ) -> tuple[Receipt, BaseException | None]:
        """take: takes what the entry states, right before it gets its place; it may raise, as the log may."""
        recorder, runs = self._recorder(), self._runs
        place = runs.place(mandate)
        try:
            entry = make(place)
            if take is not None:
                take(entry)
            submitted = recorder.ledger.submit(entry)
        except Unavailable as busy:
            if busy.code != "ledger.busy" or not patient:
                raise
            if waits is not None:
                waits()
        else:
            runs.taken(mandate, place, submitted.receipt.leaf_hash)
            if then is not None:
                then(submitted.receipt)
            try:
                return await submitted.durable(), None
            except get_cancelled_exc_class() as gone:
                return await durable_entry(submitted, gone)
        placed = place

        def again() -> Entry:
            nonlocal placed
            placed = runs.place(mandate)
            return make(placed)

        submitted, left = await placed_entry(recorder, again, patient=True, take=take)
        runs.taken(mandate, placed, submitted.receipt.leaf_hash)
        if then is not None:
            then(submitted.receipt)
        return await durable_entry(submitted, left)

    def keep_budgets(self) -> None:
        keep_budgets(self._recorder().ledger, self._authority.mandates, self._counts)

    def restore_budgets(self) -> None:
        restore_budgets(self._recorder().ledger, self._authority.mandates, self._counts)

    def _recorder(self) -> Recorder:
        recorder = self._records()
        assert recorder is not None  # noqa: S101 - whoever calls has it
        return recorder

    def _uses(self, request: CommitRequest) -> _Uses:
        verification = self._verifies()
        assert verification is not None  # noqa: S101 - as above
        return _Uses(self._recorder(), self._authority, verification, request)

    def _give_back(self, request: CommitRequest) -> None:
        """Undo a commit that has no intent: return its reservation, and remove it from the counts."""
        reserved = request.reserved
        self._authority.mandates.give_back(reserved.accounts, reserved.amounts)
        request.counts.withdraw()


class _EndedError(Exception):
    """An approval or a prepared object cannot be used any more."""

    def __init__(self, what: Ended) -> None:
        super().__init__(what)
        self.what: Ended = what


class _Uses:
    """The approval and the prepared object of one action: both are used up, once, or neither."""

    __slots__ = ("_authority", "_recorder", "_request", "_taken", "_verification")

    def __init__(
        self,
        recorder: Recorder,
        authority: AuthorityRegisters,
        verification: Verification,
        request: CommitRequest,
    ) -> None:
        self._recorder, self._authority, self._verification = recorder, authority, verification
        self._request, self._taken = request, False

    def take(self, entry: Entry) -> None:
        """Use both up if the log has room for the intent now. Raises _EndedError, and Unavailable.

        Where the log had no room after all, this is called again, and what was taken stays taken.
        """
        if self._taken:
            return
        self._recorder.ledger.require_room(entry)
        if self._request.prepared:
            self._use_prepared()
        else:
            self._use_approval()
        self._taken = True

    def _use_prepared(self) -> None:
        """Use up the prepared object, and then the approval, if there is one. In the other order, two racing callers
        could each take one, and both would fail."""
        register, request = self._verification.prepared, self._request
        if register is None:
            raise _EndedError("prepared.used")
        kept = register.get(request.prepared)
        if kept is None or not register.use(request.prepared, by=request.action, now=request.at):
            raise _EndedError("prepared.used")
        if not request.approval:
            return
        try:
            self._use_approval()
        except (AnswerableError, _EndedError):
            # What cannot be given back stays used: nothing runs by it.
            with suppress(Unavailable):
                register.give_back(kept, by=request.action)
            raise

    def _use_approval(self) -> None:
        if not self._authority.approvals.use(ApprovalId(self._request.approval), self._request.at):
            raise _EndedError("approval.used")
