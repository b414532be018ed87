"""A warrant: the right to perform one recorded intent, once, before its deadline.

Laws: a warrant is made only from a commit, whose intent is durable; it is redeemed at most once and never after its
deadline; it yields the frozen action of that intent and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.errors.codes.leases import WARRANT_EXPIRED, WARRANT_SPENT

if TYPE_CHECKING:
    from answerable.core.canonical import FrozenJSON
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.lease import Under
    from answerable.core.ledger.commit import Committed
    from answerable.core.ledger.warrant_token import LeaseTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokeredAction:
    """What a broker needs to know of an action beside its arguments. broker: its name. under: names whose end ends the
    lease."""

    broker: str
    terms: LeaseTerms
    mandate: str
    agent: str
    capability: str
    tier: int
    under: tuple[Under, ...]


class Warrant:
    """The right to perform one intent. intent: receipt of the durable intent. idempotency_key and lease_name: chosen
    before the intent was written.

    brokered: data for the broker, where one acts; its terms contain the lease's name.

    deadline: Unix milliseconds from which it cannot be redeemed.
    """

    __slots__ = (
        "_action",
        "_redeemed",
        "action_id",
        "brokered",
        "deadline",
        "idempotency_key",
        "intent",
        "lease_name",
        "server",
    )

    def __init__(
        self,
        *,
        committed: Committed,
        action_id: str,
        action: FrozenJSON,
        server: str,
        idempotency_key: str,
        lease_name: str,
        deadline: UnixMillis,
        brokered: BrokeredAction | None = None,
    ) -> None:
        self.intent = committed.receipt
        self.action_id = action_id
        self.server = server
        self.idempotency_key = idempotency_key
        self.lease_name = lease_name
        self.deadline = deadline
        self.brokered = brokered
        self._action = action
        self._redeemed = False

    @property
    def digest(self) -> str:
        """Digest of the frozen action, hex."""
        return self._action.hex

    @property
    def redeemed(self) -> bool:
        """Whether the action was taken out; if not, nothing was started."""
        return self._redeemed

    def redeem(self, *, now: UnixMillis) -> FrozenJSON:
        """Return the frozen action, once.

        Raises Broken (`warrant.spent`) on a second call, Refused (`warrant.expired`) at or past the deadline.
        """
        if self._redeemed:
            raise WARRANT_SPENT()
        if now >= self.deadline:
            raise WARRANT_EXPIRED()
        self._redeemed = True
        return self._action
