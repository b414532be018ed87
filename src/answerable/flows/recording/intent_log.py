"""Commit intents in one process: budgets in memory, uses in its registers, and intents in its ledger.

Laws: what an action takes is checked and taken, and its intent gets its place in the log, before any other task runs.
Where the log has no room yet, the budgets are taken before the wait, and the uses after it. The intent is the use: its
row follows, and a start takes from the ledger whatever the registers lack before anything is answered.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol
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
    from answerable.ports.ledger import Submitted


class Parts(Protocol):
    """The parts of a process in which a commit takes something."""

    recorder: Recorder
    authority: AuthorityRegisters
    verification: Verification


class EmbeddedIntentLog:
    """Implements ports.intent_log.IntentLog over the ledger and the registers of one process."""

    def __init__(self, parts: Parts) -> None:
        # A weak reference avoids a cycle: files are closed as soon as the parts are dropped, not at some later time.
        self._ref = ref(parts)
        self._runs = Runs(parts.recorder.entropy.bytes)
        self._counts = BudgetCounts()

    async def commit(self, request: CommitRequest) -> Committed | Conflict:
        mandates, reserved = self._parts().authority.mandates, request.reserved
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

        uses = _Uses(self._parts(), request) if request.approval or request.prepared else None
        try:
            receipt, left = await self.record(
                request.mandate,
                made,
                waits=request.counts.waits,
                then=counted,
                submit=uses.submit if uses is not None else None,
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
        finally:
            if is_placed and uses is not None:
                uses.keep()
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
                mandates = self._parts().authority.mandates
                mandates.give_back(reserved.accounts, returned)
                mandates.take_more(reserved.accounts, overrun)
                self._counts.ended(reserved, returned, overrun, receipt.index)
            placed(receipt)

        if mandate:
            return await self.record(mandate, make, patient=patient, then=counted)
        entry = make(None)
        submitted, left = await placed_entry(self._parts().recorder, lambda: entry, patient=patient)
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
        submit: Callable[[Entry], Submitted] | None = None,
    ) -> tuple[Receipt, BaseException | None]:
        """submit: gives the entry its place, in place of the log."""
        recorder, runs = self._parts().recorder, self._runs
        place = runs.place(mandate)
        try:
            entry = make(place)
            submitted = (submit or recorder.ledger.submit)(entry)
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

        submitted, left = await placed_entry(recorder, again, patient=True, submit=submit)
        runs.taken(mandate, placed, submitted.receipt.leaf_hash)
        if then is not None:
            then(submitted.receipt)
        return await durable_entry(submitted, left)

    def keep_budgets(self) -> None:
        parts = self._parts()
        keep_budgets(parts.recorder.ledger, parts.authority.mandates, self._counts)

    def restore_budgets(self) -> None:
        parts = self._parts()
        restore_budgets(parts.recorder.ledger, parts.authority.mandates, self._counts)

    def _parts(self) -> Parts:
        parts = self._ref()
        assert parts is not None  # noqa: S101 - whoever calls has them
        return parts

    def _give_back(self, request: CommitRequest) -> None:
        """Undo a commit that has no intent: return its reservation, and remove it from the counts."""
        reserved = request.reserved
        self._parts().authority.mandates.give_back(reserved.accounts, reserved.amounts)
        request.counts.withdraw()


class _EndedError(Exception):
    """An approval or a prepared object cannot be used any more."""

    def __init__(self, what: Ended) -> None:
        super().__init__(what)
        self.what: Ended = what


class _Uses:
    """The approval and the prepared object of one action: both are used up, once, or neither."""

    __slots__ = ("_parts", "_request")

    def __init__(self, parts: Parts, request: CommitRequest) -> None:
        self._parts, self._request = parts, request

    def submit(self, entry: Entry) -> Submitted:
        """Use both up and give the intent its place. Raises _EndedError, and as `Ledger.submit`; then both wait as
        before."""
        self._take()
        try:
            return self._parts.recorder.ledger.submit(entry)
        except AnswerableError:
            self._give_back()
            raise

    def keep(self) -> None:
        """Have the registers store the uses, as the intent that states them has its place."""
        parts, request = self._parts, self._request
        if request.prepared and parts.verification.prepared is not None:
            parts.verification.prepared.keep_use(request.prepared)
        if request.approval:
            parts.authority.approvals.keep_use(ApprovalId(request.approval))

    def _take(self) -> None:
        register, request = self._parts.verification.prepared, self._request
        if request.prepared and (
            register is None or not register.use(request.prepared, by=request.action, now=request.at)
        ):
            raise _EndedError("prepared.used")
        if not request.approval:
            return
        try:
            if not self._parts.authority.approvals.use(ApprovalId(request.approval), request.at):
                raise _EndedError("approval.used")
        except (AnswerableError, _EndedError):
            self._give_back_prepared()
            raise

    def _give_back(self) -> None:
        if self._request.approval:
            self._parts.authority.approvals.give_back(ApprovalId(self._request.approval))
        self._give_back_prepared()

    def _give_back_prepared(self) -> None:
        register = self._parts.verification.prepared
        if self._request.prepared and register is not None:
            # What cannot be given back stays used: nothing runs by it.
            with suppress(Unavailable):
                register.give_back(self._request.prepared, by=self._request.action)
