"""The right to perform one recorded intent, once, before its deadline.

Laws: a warrant is made only from the receipt of a durable intent; it is redeemed at most once and never after its
deadline; what it yields is the frozen action of that intent and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.errors import Broken, Refused

if TYPE_CHECKING:
    from answerable.core.canonical import FrozenJSON
    from answerable.core.identity.principal import UnixMillis
    from answerable.core.ledger.entry import Receipt


class Warrant:
    """intent: index of the durable intent. idempotency_key and lease_name: chosen before the intent was written.

    deadline: Unix milliseconds from which it cannot be redeemed.
    """

    __slots__ = (
        "_action",
        "_redeemed",
        "action_id",
        "deadline",
        "idempotency_key",
        "intent",
        "lease_name",
        "server",
    )

    def __init__(
        self,
        *,
        receipt: Receipt,
        action_id: str,
        action: FrozenJSON,
        server: str,
        idempotency_key: str,
        lease_name: str,
        deadline: UnixMillis,
    ) -> None:
        self.intent = receipt
        self.action_id = action_id
        self.server = server
        self.idempotency_key = idempotency_key
        self.lease_name = lease_name
        self.deadline = deadline
        self._action = action
        self._redeemed = False

    @property
    def redeemed(self) -> bool:
        """Whether somebody has taken the action out; if not, nothing was started."""
        return self._redeemed

    def redeem(self, *, now: UnixMillis) -> FrozenJSON:
        """The frozen action, once.

        Raises Broken (`warrant.spent`) on a second call, Refused (`warrant.expired`) at or past the deadline.
        """
        if self._redeemed:
            raise Broken("a warrant can be redeemed once", code="warrant.spent")
        if now >= self.deadline:
            raise Refused("the time to perform this action has run out", code="warrant.expired")
        self._redeemed = True
        return self._action
