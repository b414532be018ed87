"""Port: the registered documents in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from answerable.core.registry.parsing.in_force import Coming, InForce
    from answerable.core.registry.snapshot.resolve import CapabilityIndex
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot


class RegistryStore(Protocol):
    """Promises: `current` is one consistent snapshot of active things and `index` belongs to it; both are synchronous
    and do no I/O; `put` is on stable storage when it returns and swaps both at once. What another process put is
    `coming` until it is taken over with what was made of it: then both are swapped at once, and not before.

    documents: canonical JSON of each document by `kind/name`. Raises only Unavailable (`register.*`) and, from `put`
    before anything is stored, Malformed (`registry.*`, `json.*`).
    """

    @property
    def current(self) -> RegistrySnapshot:
        """Everything that is active."""
        ...

    @property
    def index(self) -> CapabilityIndex:
        """Look-up of capabilities by target in `current`."""
        ...

    def documents(self) -> dict[str, bytes]:
        """All stored documents, active or not, by `kind/name`."""
        ...

    def put(self, documents: dict[str, bytes]) -> None:
        """Store the whole set of documents and swap the snapshot.

        Raises Unavailable (`register.changed_meanwhile`) when another process stored others than are known here.
        """
        ...

    @property
    def coming(self) -> Coming | None:
        """What another process put last, as far as is known here; None where that is in force here. No I/O."""
        ...

    def take_over(self, coming: Coming, made: InForce) -> bool:
        """Swap to what was coming, of which `made` was made; False, and nothing is swapped, where this process holds
        something later by now."""
        ...
