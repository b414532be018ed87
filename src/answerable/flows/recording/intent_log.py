"""Commit intents in one process: budgets in memory, uses in its registers, and intents in its ledger.

Laws: what an action takes is checked and taken, and its intent gets its place in the log, before any other task runs.
Where the log has no room yet, the budgets are taken before the wait, and the uses after it. The intent is the use: its
row follows, and a start takes from the ledger whatever the registers lack before anything is answered.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import ref

from anyio import get_cancelled_exc_class

from answerable.core.approval.approval import ApprovalId
from answerable.core.ledger.budget_counts import BudgetCounts
from answerable.core.ledger.commit import Committed, Conflict
from answerable.core.ledger.runs import Runs
from answerable.core.mandate.budget import Lack
from answerable.errors import AnswerableError, Unavailable
from answerable.flows.recording.keep_budgets import keep_budgets, restore_budgets
from answerable.flows.recording.record_entry import durable_entry, placed_entry, record_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from answerable.core.ledger.commit import CommitRequest, Ended
    from answerable.core.ledger.entry import Entry, Receipt
    from answerable.core.ledger.runs import Run
    from answerable.core.mandate.budget import Amounts, Reserved
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.worlds import Verification
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.ledger import Ledger, Submitted
    from answerable.ports.prepared_register import PreparedRegister

    Submit: TypeAlias = Callable[[Entry], Submitted]


class EmbeddedIntentLog:
    """Implements ports.intent_log.IntentLog over the ledger and the registers of one process."""

    def __init__(self, recorder: Recorder, authority: AuthorityRegisters, verification: Verification) -> None:
        # Weak references avoid a cycle: files are closed as soon as the parts are dropped, not at some later time.
        self._records, self._verifies, self._authority = ref(recorder), ref(verification), authority
        self._runs = Runs(recorder.entropy.bytes)
        self._counts = BudgetCounts()

    async def commit(self, request: CommitRequest) -> Committed | Conflict:
        mandate, reserved, counts = request.mandate, request.reserved, request.counts
        call = self._authority.mandates.reserve(request.accounts, reserved.amounts)
        if call is None:
            return Conflict(why="mandate.closed")
        if isinstance(call, Lack):
            return Conflict(why=call)

        def made(run: Run) -> Entry:
            return request.make(run, call)

        uses = self._uses(request) if request.approval or request.prepared else None
        submit = uses.submit if uses is not None else None
        left, is_placed = None, False
        try:
            submitted = self._placed(mandate, made, submit, patient=True)
            if submitted is None:
                counts.waits()
                submitted, left = await self._placed_later(mandate, made, submit)
            is_placed = True
            index = submitted.receipt.index
            self._counts.took(reserved, index)
            counts.placed(index)
            try:
                receipt = await submitted.durable()
            except get_cancelled_exc_class() as gone:
                left = gone
            if left is not None:
                receipt, left = await durable_entry(submitted, left)
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
        finally:
            if is_placed and uses is not None:
                uses.keep()
        return Committed(receipt=receipt, call=call, left=left)

    def finish(
        self,
        mandate: str,
        make: Callable[[Run | None], Entry],
        *,
        reserved: Reserved | None,
        returned: Amounts,
        overrun: Amounts,
        patient: bool,
        placed: Callable[[Receipt], None],
    ) -> Coroutine[Any, Any, tuple[Receipt, BaseException | None]]:
        """Record an end. What is returned counts from its place in the log on, so that later actions can spend it."""
        then = placed
        if reserved is not None and (returned or overrun):
            then = partial(self._count_end, reserved, returned, overrun, placed)
        if mandate:
            return self.record(mandate, make, patient=patient, then=then)
        return record_entry(self._recorder(), make(None), patient=patient, then=then)

    async def record(
        self,
        mandate: str,
        make: Callable[[Run], Entry],
        *,
        patient: bool = True,
        waits: Callable[[], None] | None = None,
        then: Callable[[Receipt], None] | None = None,
    ) -> tuple[Receipt, BaseException | None]:
        submitted, left = self._placed(mandate, make, None, patient=patient), None
        if submitted is None:
            if waits is not None:
                waits()
            submitted, left = await self._placed_later(mandate, make, None)
        if then is not None:
            then(submitted.receipt)
        if left is None:
            try:
                return await submitted.durable(), None
            except get_cancelled_exc_class() as gone:
                left = gone
        return await durable_entry(submitted, left)

    def _placed(
        self, mandate: str, make: Callable[[Run], Entry], submit: Submit | None, *, patient: bool
    ) -> Submitted | None:
        """Give the next entry of a mandate's run its place in the log; None if it has to wait for room. submit: gives
        the entry its place, in place of the log. Raises Unavailable."""
        runs = self._runs
        place = runs.place(mandate)
        try:
            submitted = (submit or self._recorder().ledger.submit)(make(place))
        except Unavailable as busy:
            if busy.code != "ledger.busy" or not patient:
                raise
            return None
        runs.taken(mandate, place, submitted.receipt.leaf_hash)
        return submitted

    async def _placed_later(
        self, mandate: str, make: Callable[[Run], Entry], submit: Submit | None
    ) -> tuple[Submitted, BaseException | None]:
        """As `_placed`, once the log has room. Return also the cancellation if the caller left meanwhile."""
        runs = self._runs
        placed = runs.place(mandate)

        def again() -> Entry:
            nonlocal placed
            placed = runs.place(mandate)
            return make(placed)

        submitted, left = await placed_entry(self._recorder(), again, patient=True, submit=submit)
        runs.taken(mandate, placed, submitted.receipt.leaf_hash)
        return submitted, left

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
        return _Uses(self._recorder().ledger, self._authority.approvals, verification.prepared, request)

    def _count_end(
        self,
        reserved: Reserved,
        returned: Amounts,
        overrun: Amounts,
        placed: Callable[[Receipt], None],
        receipt: Receipt,
    ) -> None:
        """Count what an action returned, and what it used beyond its reservation."""
        self._authority.mandates.give_back(reserved.accounts, returned)
        self._authority.mandates.take_more(reserved.accounts, overrun)
        self._counts.ended(reserved, returned, overrun, receipt.index)
        placed(receipt)

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

    __slots__ = ("_approvals", "_ledger", "_prepared", "_request")

    def __init__(
        self,
        ledger: Ledger,
        approvals: ApprovalRegister,
        prepared: PreparedRegister | None,
        request: CommitRequest,
    ) -> None:
        self._ledger, self._approvals, self._prepared, self._request = ledger, approvals, prepared, request

    def submit(self, entry: Entry) -> Submitted:
        """Use both up and give the intent its place. Raises _EndedError, and as `Ledger.submit`; then both wait as
        before: whoever else writes stores neither use until the log has decided."""
        register = nullcontext() if self._prepared is None else self._prepared.deciding()
        with self._approvals.deciding(), register:
            self._take()
            try:
                return self._ledger.submit(entry)
            except AnswerableError:
                if self._request.approval:
                    self._approvals.give_back(ApprovalId(self._request.approval))
                self._give_back_prepared()
                raise

    def keep(self) -> None:
        """Have the registers store the uses, as the intent that states them has its place."""
        if self._request.prepared and self._prepared is not None:
            self._prepared.keep_use(self._request.prepared)
        if self._request.approval:
            self._approvals.keep_use(ApprovalId(self._request.approval))

    def _take(self) -> None:
        register, request = self._prepared, self._request
        if request.prepared and (
            register is None or not register.use(request.prepared, by=request.action, now=request.at)
        ):
            raise _EndedError("prepared.used")
        try:
            if request.approval and not self._approvals.use(ApprovalId(request.approval), request.at):
                raise _EndedError("approval.used")
        except (AnswerableError, _EndedError):
            self._give_back_prepared()
            raise

    def _give_back_prepared(self) -> None:
        if self._request.prepared and self._prepared is not None:
            self._prepared.give_back(self._request.prepared, by=self._request.action)
