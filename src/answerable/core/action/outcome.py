"""How an intent ended.

Laws: there are four ends and no fifth; `indeterminate` is said when it is not known, never guessed away.
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
    """result: what the upstream answered, None when it did not. detail: one line for people, never a secret.

    returned: of what was reserved for it, what was not used, by budget. overrun: what was used beyond that. The walk
    says both, no upstream does. session: what the server itself calls the session in which it was done, as a broker
    says; it leads from the server's own log to this action. used: what of its lease's grants it used, as the broker
    says (`core.lease.use`); None where nobody told. prepared: what the gateway kept of the answer to be executed later,
    or why it kept nothing; None where the action prepares nothing.
    """

    status: OutcomeStatus
    detail: str = ""
    result: dict[str, JSONValue] | None = None
    returned: Amounts = NOTHING
    overrun: Amounts = NOTHING
    session: dict[str, str] | None = None
    used: dict[str, JSONValue] | None = None
    prepared: dict[str, JSONValue] | None = None
