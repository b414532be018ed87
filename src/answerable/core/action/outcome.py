"""The outcome of an intent.

Laws: there are four ends and no fifth; an unknown end is recorded as `indeterminate`, never guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from answerable.core.mandate.budget import NOTHING

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.mandate.budget import Amounts

OutcomeStatus = Literal["succeeded", "failed", "not_started", "indeterminate"]


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How an intent ended. result: the upstream's answer, None without one. detail: one human-readable line, never a
    secret. code: of a broker that began nothing; empty otherwise. retry: whether the same action, where it was not
    started, may end differently.

    returned: the reserved amounts that were not used, by budget. overrun: the use beyond the reservation. The action
    walk sets both, never an upstream. session: the server's own name of the session in which the action ran, as
    reported by a broker; it links the server's log to this action. used: the lease's grants that were used, as reported
    by the broker (`core.lease.use`); None if not reported. prepared: what the gateway stored of the answer for later
    execution, or why it stored nothing; None if the action prepares nothing.
    """

    status: OutcomeStatus
    detail: str = ""
    code: str = ""
    retry: bool = True
    result: dict[str, JSONValue] | None = None
    returned: Amounts = NOTHING
    overrun: Amounts = NOTHING
    session: dict[str, str] | None = None
    used: dict[str, JSONValue] | None = None
    prepared: dict[str, JSONValue] | None = None
