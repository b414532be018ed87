"""Port: the present state of mandates and what of their budgets is used."""

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

    Budgets are rebuilt from kept counts and the ledger's entries after them at start (`restore_used`), so that a
    reservation needs no write of its own: the intent is the record, and its outcome that of what is given back. Raises
    only Unavailable (`register.*`) and, from `add`, Malformed (`mandate.duplicate`, `mandate.malformed`).
    """

    def find(self, mandate: MandateId) -> Mandate | None:
        """The mandate, open or closed, or None."""
        ...

    def state(self, mandate: MandateId) -> MandateState:
        """Open or closed; unknown mandates are closed."""
        ...

    def calls_used(self, mandate: MandateId) -> int:
        """Actions started under it."""
        ...

    def used(self, account: str) -> Amounts:
        """What is used of an account, by budget: of a mandate or of a hop."""
        ...

    def lack(self, accounts: Sequence[Account], amounts: Amounts) -> Lack | None:
        """What `reserve` would find lacking now; None when nothing is. Takes nothing, and looks at no state."""
        ...

    def reserve(self, accounts: Sequence[Account], amounts: Amounts) -> int | Lack | None:
        """Take these amounts from every account or from none; the first is that of the mandate.

        Returns how many calls of the mandate are used now, what is lacking, or None when it is closed or not known.
        """
        ...

    def give_back(self, accounts: Iterable[str], amounts: Amounts) -> None:
        """Return what was reserved and not used, or whose intent never became durable; never below nothing."""
        ...

    def take_more(self, accounts: Iterable[str], amounts: Amounts) -> None:
        """Count what an action turned out to have used beyond its reservation, whatever the limits say."""
        ...

    def restore_used(self, account: str, amounts: Amounts) -> None:
        """Set what is used from the ledger at start; never lowers it."""
        ...

    def keep_used(self, origin: str, used: Mapping[str, Amounts], entries: int) -> None:
        """Keep, on stable storage, what is used of these accounts by what the log `origin` says below the entry of that
        index. Accounts that are not named keep the counts they have."""
        ...

    def kept_used(self, origin: str) -> Mapping[str, Amounts]:
        """What was kept for this log, by account."""
        ...

    def used_up_to(self, origin: str) -> int:
        """Up to which entry of this log the kept counts go; 0 when nothing was kept."""
        ...

    def add(self, mandate: Mandate, *, issued: Reference | None = None) -> None:
        """Register an issued mandate. issued: the entry that says so, with the origin of its log."""
        ...

    def issued(self, mandate: MandateId) -> Reference | None:
        """The entry that says that it was issued; None for an unknown mandate, and where none was given. May read."""
        ...

    def close(self, mandate: MandateId) -> None:
        """Close it; idempotent. Where that cannot be written it is closed in this process all the same, and stays so
        until it is (`register.behind`)."""
        ...

    def admit(self, mandate: MandateId, giver: AgentId, receiver: AgentId, *, width_max: int) -> bool:
        """Count an agent among those that another one handed the mandate on to, whichever of its tokens it did that
        with; False, and nothing is counted, where that would be more than so many. On stable storage when True; of
        those who race for the last place, in whatever process, one gets it."""
        ...

    def all(self) -> Iterable[Mandate]:
        """Every mandate, newest first."""
        ...
