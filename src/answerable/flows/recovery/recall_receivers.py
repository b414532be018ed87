"""Restore, from the ledger, receivers of delegated mandates that an older copy of the register lacks.

Law: an agent that acted under a delegation counts as one of its giver's receivers. One that was admitted and never
acted may be missing; it is counted when it acts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.principal import AgentId
from answerable.core.ledger.opened import leaf_of
from answerable.core.mandate.mandate import MandateId
from answerable.flows.revocation.end_instance import written

if TYPE_CHECKING:
    from answerable.core.ledger.entry import StoredEntry
    from answerable.ports.mandate_register import MandateRegister

_HOPS: Final = b'"hops":'
_ANY_WIDTH: Final = 2**31


@dataclass(slots=True, kw_only=True)
class RecalledReceivers:
    """Collects mandate, giver and receiver from intents. Memory grows with delegations, not with intents."""

    mandates: MandateRegister
    found: set[tuple[MandateId, AgentId, AgentId]] = field(default_factory=set)

    def note(self, stored: StoredEntry) -> None:
        """Note an entry with tag `intent`. Raises Broken (`ledger.leaf_malformed`)."""
        if _HOPS not in stored.leaf:
            return
        match leaf_of(stored):
            case {"mandate": str(mandate), "hops": list(hops)}:
                agents = [AgentId(str(one.get("agent"))) for one in hops if isinstance(one, dict)]
                self.found.update(
                    (MandateId(mandate), giver, receiver)
                    for giver, receiver in pairwise(agents)
                    if giver != receiver
                )

    async def restored(self) -> None:
        """Admit the missing receivers, however many there are. Raises Unavailable."""
        if self.found:
            await written(partial(self._admit, sorted(self.found)))

    def _admit(self, found: list[tuple[MandateId, AgentId, AgentId]]) -> None:
        for mandate, giver, receiver in found:
            self.mandates.admit(mandate, giver, receiver, width_max=_ANY_WIDTH)
