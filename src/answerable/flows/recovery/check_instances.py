"""Find live instances that are not as the ledger says, after another program has written their register.

Laws: an instance that no entry enrolled, or whose row differs from its last entry, does not act; its process may enrol
again. What an entry does not state, or states sealed under a key that is gone, counts as different.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.projected_instances import instance_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.identity.workload.instance import Instance
    from answerable.core.ledger.entry import StoredEntry
    from answerable.ports.subject_keys import SubjectKeys


class CheckedInstances:
    """Collects enrolments and renewals of these live instances. Begin before the logs are read, so that no instance is
    newer than what is read of them."""

    def __init__(self, subject_keys: SubjectKeys, live: Iterable[Instance]) -> None:
        self._subject_keys = subject_keys
        self._live = {str(one.id): one for one in live}
        self._told: dict[str, Instance | None] = {}

    def note(self, stored: StoredEntry) -> None:
        """Note an entry with tag `workload_enrolled`. Raises Broken (`ledger.leaf_malformed`)."""
        leaf = leaf_of(stored)
        name = str(leaf.get("instance"))
        if name in self._live:
            self._told[name] = instance_in(leaf, payload_of(stored, leaf, self._subject_keys.find))

    def altered(self) -> Sequence[SpiffeId]:
        """Return the live instances that differ from their last entry, or have none."""
        return [one.id for name, one in self._live.items() if self._told.get(name) != one]
