"""Port: the registered documents in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from answerable.core.registry.parsing.in_force import Coming, InForce
    from answerable.core.registry.snapshot.resolve import CapabilityIndex
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot


class RegistryStore(Protocol):
    """Promises: `current` is one consistent snapshot of active documents and `index` belongs to it; both are
    synchronous and do no I/O; `put` is on stable storage when it returns and swaps both at once. Documents that another
    process put are `coming` until they are taken over together with what was built from them: then both are swapped at
    once, and not before.

    documents: canonical JSON of each document by `kind/name`. Raises only Unavailable (`register.*`) and, from `put`
    before anything is stored, Malformed (`registry.*`, `json.*`).
    """

    @property
    def current(self) -> RegistrySnapshot:
        """The snapshot of all active documents."""
        ...

    @property
    def index(self) -> CapabilityIndex:
        """The index of capabilities by target in `current`."""
        ...

    def documents(self) -> dict[str, bytes]:
        """Return all stored documents, active or not, by `kind/name`."""
        ...

    def put(self, documents: dict[str, bytes], made: InForce | None = None) -> None:
        """Store the whole set of documents and swap the snapshot. made: built of these documents already.

        Raises Unavailable (`register.changed_meanwhile`) when another process stored other documents than this process
        knows.
        """
        ...

    @property
    def coming(self) -> Coming | None:
        """The documents that another process put last, as far as known in this process; None where they are in force
        here. No I/O."""
        ...

    def take_over(self, coming: Coming, made: InForce) -> bool:
        """Swap to the coming documents, from which `made` was built. False, and nothing is swapped, where this process
        has taken over something later by now."""
        ...
