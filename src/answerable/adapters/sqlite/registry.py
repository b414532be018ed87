"""Registry documents in SQLite; snapshot and index in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.sqlite.columns import octets, read, text
from answerable.adapters.sqlite.store import PORT
from answerable.core.registry.in_force import DocumentsInForce, in_force
from answerable.errors import Unavailable

if TYPE_CHECKING:
    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.registry.in_force import Coming, InForce
    from answerable.core.registry.resolve import CapabilityIndex
    from answerable.core.registry.snapshot import RegistrySnapshot


class SqliteRegistryStore:
    """Port RegistryStore."""

    def __init__(self, store: SqliteStore) -> None:
        """Raises Unavailable (`register.unavailable`, `register.corrupt`)."""
        self._store = store
        self._known = DocumentsInForce()
        store.mirror(self._reload)
        stored = self._known.coming
        if stored is not None:
            with read("registry", "documents"):
                self._known.take_over(stored, in_force(stored.documents))

    @property
    def current(self) -> RegistrySnapshot:
        """As the port says."""
        return self._known.present.snapshot

    @property
    def index(self) -> CapabilityIndex:
        """As the port says."""
        return self._known.present.index

    @property
    def coming(self) -> Coming | None:
        """As the port says: seen by the store's `refresh`."""
        return self._known.coming

    def documents(self) -> dict[str, bytes]:
        """As the port says."""
        return dict(self._known.present.documents)

    def put(self, documents: dict[str, bytes]) -> None:
        """As the port says."""
        # Made before anything is stored: documents that give no snapshot must not reach the file.
        made = in_force(documents)
        with self._store.write() as connection:
            if dict(connection.execute("SELECT key, body FROM documents")) != self._known.present.documents:
                raise Unavailable(
                    "another process applied documents at the same moment: look, and apply again",
                    code="register.changed_meanwhile",
                    port=PORT,
                )
            connection.execute("DELETE FROM documents")
            connection.executemany("INSERT INTO documents (key, body) VALUES (?, ?)", made.documents.items())
        self._known.put(made)

    def take_over(self, coming: Coming, made: InForce) -> bool:
        """As the port says."""
        return self._known.take_over(coming, made)

    def _reload(self) -> None:
        rows = self._store.rows("SELECT key, body FROM documents ORDER BY key")
        self._known.see({text(key): octets(body) for key, body in rows})
