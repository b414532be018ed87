"""A register of what was prepared that is older than the ledger: what was executed since is used again.

Law: what an intent says was executed is not executed once more. What was prepared after the copy is not here, and is
prepared anew.
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
    from answerable.flows.state.walk import Walk


@dataclass(slots=True, kw_only=True)
class RecalledPrepared:
    """What intents say was executed. used: by the action that had prepared it, the one that executed it."""

    walk: Walk
    used: dict[str, str] = field(default_factory=dict)

    def note(self, stored: StoredEntry) -> None:
        """Of an entry with tag `intent`. Raises Broken (`ledger.leaf_malformed`)."""
        match leaf_of(stored):
            case {"action": str(action), "prepared_ref": {"entry": int(entry), "leaf": str(leaf)}}:
                try:
                    outcome = self.walk.ledger.entry(entry)
                except Malformed:
                    return
                if outcome.leaf_hash.hex() == leaf:
                    self.used[str(leaf_of(outcome).get("action"))] = action

    async def restored(self) -> None:
        """Use up again what the register takes for unused. Raises Unavailable."""
        register = self.walk.prepared
        if register is None:
            return
        for prepared, action in self.used.items():
            await written(partial(register.use, prepared, by=action, now=self.walk.clock.now()))
