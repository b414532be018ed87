"""Port: the current state of mandates and the used part of their budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from answerable.core.identity.names.principal import AgentId
    from answerable.core.ledger.leaves import Reference
    from answerable.core.mandate.budget import Account, Amounts, Lack
    from answerable.core.mandate.mandate import Mandate, MandateId, MandateState


class MandateRegister(Protocol):
    """Promises: `add` and `close` are on stable storage when they return and every later `find` sees them; look-ups and
    `reserve` are synchronous and do no I/O; `reserve` is exact among all callers of this process.

    At start, budgets are rebuilt from stored counts and the ledger entries after them (`restore_used`), so that a
    reservation needs no write of its own: the intent records the reservation, and its outcome what is returned. Raises
    only Unavailable (`register.*`) and, from `add`, Malformed (`mandate.duplicate`, `mandate.malformed`).
    """

    def find(self, mandate: MandateId) -> Mandate | None:
        """Return the mandate, open or closed, also one that another process has just added; else None.

        Raises Unavailable (`register.unavailable`) if others' additions cannot be read."""
        ...

    def state(self, mandate: MandateId) -> MandateState:
        """Return whether the mandate is open or closed; unknown mandates are closed."""
        ...

    def calls_used(self, mandate: MandateId) -> int:
        """Return the number of actions started under the mandate."""
        ...

    def used(self, account: str) -> Amounts:
        """Return the used amounts of an account (of a mandate or of a hop), by budget."""
        ...

    def lack(self, accounts: Sequence[Account], amounts: Amounts) -> Lack | None:
        """Return the lack that `reserve` would report now; None when there is none. Reserves nothing, and does not
        check the mandate's state."""
        ...

    def reserve(self, accounts: Sequence[Account], amounts: Amounts) -> int | Lack | None:
        """Reserve these amounts from every account or from none; the first account is that of the mandate.

        Returns how many calls of the mandate are used now, the lack, or None when the mandate is closed or unknown.
        """
        ...

    def give_back(self, accounts: Iterable[str], amounts: Amounts) -> None:
        """Return reserved amounts that were not used, or whose intent never became durable; never below zero."""
        ...

    def take_more(self, accounts: Iterable[str], amounts: Amounts) -> None:
        """Add the amounts that an action used beyond its reservation, regardless of limits."""
        ...

    def restore_used(self, account: str, amounts: Amounts) -> None:
        """Set the used amounts from the ledger at start; never lowers them."""
        ...

    def keep_used(self, origin: str, used: Mapping[str, Amounts], entries: int) -> None:
        """Store durably the used amounts of these accounts, counted from the log `origin` below entry `entries`, and
        with them the uses of approvals and prepared objects whose rows are behind. Accounts not named keep their
        counts."""
        ...

    def kept_used(self, origin: str) -> Mapping[str, Amounts]:
        """Return the stored counts of this log, by account."""
        ...

    def used_up_to(self, origin: str) -> int:
        """Return the entry of this log up to which the stored counts go; 0 when nothing is stored."""
        ...

    def add(self, mandate: Mandate, *, issued: Reference | None = None) -> None:
        """Register an issued mandate. issued: the ledger entry that records it, with the origin of its log."""
        ...

    def issued(self, mandate: MandateId) -> Reference | None:
        """Return the entry that records the issue; None for an unknown mandate or if no entry was given. May read."""
        ...

    def close(self, mandate: MandateId) -> None:
        """Close the mandate; idempotent. A close that cannot be written applies in this process all the same, and stays
        so until it is written (`register.behind`)."""
        ...

    def admit(self, mandate: MandateId, giver: AgentId, receiver: AgentId, *, width_max: int) -> bool:
        """Count `receiver` among the agents to which `giver` delegated the mandate, by whichever of its tokens. False,
        and nothing is counted, where there would be more than `width_max`. On stable storage when True; of callers that
        race for the last place, in any process, one gets it."""
        ...

    def all(self) -> Iterable[Mandate]:
        """Return every mandate, newest first."""
        ...
