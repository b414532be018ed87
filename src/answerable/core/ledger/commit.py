"""The commit of an action: everything that it takes and its intent, together or not at all.

Laws: only an intent log makes a `Committed`, after the intent is on stable storage; a warrant is made of a `Committed`
only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.entry import Entry, Receipt
    from answerable.core.ledger.runs import Run
    from answerable.core.mandate.budget import Account, Lack, Reserved
    from answerable.core.mandate.mandate import MandateId

Ended: TypeAlias = Literal["mandate.closed", "prepared.used", "approval.used"]
"""What an action needs and no longer has, as the error code."""


class StartCounts(Protocol):
    """The counters in which an action counts from its decision on."""

    def waits(self) -> None:
        """Count the action, whose intent waits for its place in the log."""
        ...

    def placed(self, index: int) -> None:
        """Count the action at the place of its intent."""
        ...

    def withdraw(self) -> None:
        """Remove the action from the counts: no intent is recorded for it."""
        ...


class CommitRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What an action takes when it starts, and its intent.

    make: builds the intent from its place in the run and the number of calls of the mandate that are used with it;
    called again if the place was lost while the log had no room. mandate: whose run it is in. accounts: of `reserved`,
    with their limits; the mandate's first. approval, prepared: the ids that it uses up; empty for none. action: the id
    of the action. at: the time of the decision. counts: notified before any other task runs.
    """

    make: Callable[[Run, int], Entry]
    mandate: MandateId
    accounts: tuple[Account, ...]
    reserved: Reserved
    approval: str
    prepared: str
    action: str
    at: UnixMillis
    counts: StartCounts


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that took everything. receipt: of the durable intent. call: number of calls of the mandate used with it.
    left: the cancellation, if the caller left meanwhile."""

    receipt: Receipt
    call: int
    left: BaseException | None = None


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that took nothing, as something had changed since the decision.

    why: the budget that lacks, or what has ended. receipt: of an intent that stands in the log all the same, which must
    end as `not_started`; its reservation stays taken until then.
    """

    why: Lack | Ended
    receipt: Receipt | None = None
