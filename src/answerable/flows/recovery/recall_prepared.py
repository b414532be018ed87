"""Mark, from the ledger, prepared objects as used that an older copy of the register takes for unused.

Law: an object that an intent says was executed is not executed again. Objects prepared after the copy are lost and must
be prepared again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from answerable.core.ledger.opened import leaf_of
from answerable.errors import Malformed
from answerable.flows.revocation.end_instance import written

if TYPE_CHECKING:
    from answerable.core.ledger.entry import StoredEntry
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger
    from answerable.ports.prepared_register import PreparedRegister


@dataclass(slots=True, kw_only=True)
class RecalledPrepared:
    """Collects executed objects from intents. `used`: the executing action, by the action that prepared the object."""

    ledger: Ledger
    prepared: PreparedRegister | None
    clock: Clock
    used: dict[str, str] = field(default_factory=dict)

    def note(self, stored: StoredEntry) -> None:
        """Note an entry with tag `intent`. Raises Broken (`ledger.leaf_malformed`)."""
        match leaf_of(stored):
            case {"action": str(action), "prepared_ref": {"entry": int(entry), "leaf": str(leaf)}}:
                try:
                    outcome = self.ledger.entry(entry)
                except Malformed:
                    return
                if outcome.leaf_hash.hex() == leaf:
                    self.used[str(leaf_of(outcome).get("action"))] = action

    async def restored(self) -> None:
        """Mark executed objects as used. Raises Unavailable."""
        register = self.prepared
        if register is None:
            return
        for prepared, action in self.used.items():
            if await written(partial(register.use, prepared, by=action, now=self.clock.now())):
                register.keep_use(prepared)
