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
    from answerable.ports.drill_register import DrillRegister
    from answerable.ports.subject_keys import SubjectKeys


@dataclass(slots=True, kw_only=True)
class RecalledDrills:
    """Collects drills from entries. register: None if no drills are stored."""

    subject_keys: SubjectKeys
    register: DrillRegister | None
    drills: list[Drill] = field(default_factory=list)

    def note(self, stored: StoredEntry) -> None:
        """Note an entry with tag `drill`. Raises Broken (`ledger.leaf_malformed`)."""
        leaf = leaf_of(stored)
        name = (payload_of(stored, leaf, self.subject_keys.find) or {}).get("by")
        by = name if isinstance(name, str) else f"{NAMELESS_PREFIX}{leaf.get('by')}"
        found = drill_in(leaf, by=by)
        if found is not None:
            self.drills.append(found)

    async def restored(self) -> int:
        """Put missing drills back into the register. Return how many. Raises Unavailable."""
        register = self.register
        if register is None or not self.drills:
            return 0
        return await written(partial(register.put, self.drills))
