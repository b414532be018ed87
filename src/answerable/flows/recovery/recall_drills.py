"""Restore, from the ledger, drills that an older copy of the register lacks.

Laws: only what the ledger states counts. A drill that this version cannot read does not count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.records_drills import drill_in
from answerable.flows.recovery.restore_holds import NAMELESS_PREFIX
from answerable.flows.revocation.end_instance import written

if TYPE_CHECKING:
    from answerable.core.containment.drill import Drill
    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.state.walk import Walk


@dataclass(slots=True, kw_only=True)
class RecalledDrills:
    """Collects drills from entries."""

    walk: Walk
    drills: list[Drill] = field(default_factory=list)

    def note(self, stored: StoredEntry) -> None:
        """Note an entry with tag `drill`. Raises Broken (`ledger.leaf_malformed`)."""
        leaf = leaf_of(stored)
        name = (payload_of(stored, leaf, self.walk.recorder.subject_keys.find) or {}).get("by")
        by = name if isinstance(name, str) else f"{NAMELESS_PREFIX}{leaf.get('by')}"
        found = drill_in(leaf, by=by)
        if found is not None:
            self.drills.append(found)

    async def restored(self) -> int:
        """Put missing drills back into the register. Return how many. Raises Unavailable."""
        register = self.walk.drills.register
        if register is None or not self.drills:
            return 0
        return await written(partial(register.put, self.drills))
