"""Hold the registry in memory, with the same answers as a durable store, until the process ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.registry.parsing.in_force import DocumentsInForce, in_force

if TYPE_CHECKING:
    from answerable.core.registry.parsing.in_force import Coming, InForce
    from answerable.core.registry.snapshot.resolve import CapabilityIndex
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot


class MemoryRegistryStore:
    """Implements ports.registry_store.RegistryStore in memory."""

    def __init__(self) -> None:
        self._known = DocumentsInForce()

    @property
    def current(self) -> RegistrySnapshot:
        return self._known.present.snapshot

    @property
    def index(self) -> CapabilityIndex:
        return self._known.present.index

    @property
    def coming(self) -> Coming | None:
        return self._known.coming

    def documents(self) -> dict[str, bytes]:
        return dict(self._known.present.documents)

    def put(self, documents: dict[str, bytes], made: InForce | None = None) -> None:
        self._known.put(made if made and made.documents == documents else in_force(documents))

    def take_over(self, coming: Coming, made: InForce) -> bool:
        return self._known.take_over(coming, made)

    def put_elsewhere(self, documents: dict[str, bytes]) -> None:
        """Put documents as another process that shares the store would."""
        self._known.see(documents)
