"""Registry documents in SQLite; snapshot and index in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.sqlite.columns import octets, read, text
from answerable.adapters.sqlite.store import PORT
from answerable.core.registry.active import documents_in, snapshot_of
from answerable.core.registry.resolve import CapabilityIndex
from answerable.errors import Unavailable

if TYPE_CHECKING:
    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.registry.snapshot import RegistrySnapshot


class SqliteRegistryStore:
    """Port RegistryStore."""

    def __init__(self, store: SqliteStore) -> None:
        """Raises Unavailable (`register.unavailable`, `register.corrupt`)."""
        self._store = store
        self._documents: dict[str, bytes] = {}
        self._in_force = _in_force({})
        store.mirror(self._reload)

    @property
    def current(self) -> RegistrySnapshot:
        """As the port says."""
        return self._in_force[0]

    @property
    def index(self) -> CapabilityIndex:
        """As the port says."""
        return self._in_force[1]

    def documents(self) -> dict[str, bytes]:
        """As the port says."""
        return dict(self._documents)

    def put(self, documents: dict[str, bytes]) -> None:
        """As the port says."""
        kept = dict(documents)
        # Made before anything is stored: documents that give no snapshot must not reach the file.
        in_force = _in_force(kept)
        with self._store.write() as connection:
            if dict(connection.execute("SELECT key, body FROM documents")) != self._documents:
                raise Unavailable(
                    "another process applied documents at the same moment: look, and apply again",
                    code="register.changed_meanwhile",
                    port=PORT,
                )
            connection.execute("DELETE FROM documents")
            connection.executemany("INSERT INTO documents (key, body) VALUES (?, ?)", kept.items())
        self._documents, self._in_force = kept, in_force

    def _reload(self) -> None:
        rows = self._store.rows("SELECT key, body FROM documents ORDER BY key")
        documents = {text(key): octets(body) for key, body in rows}
        if documents == self._documents:
            return
        with read("registry", "documents"):
            self._in_force = _in_force(documents)
        self._documents = documents


def _in_force(documents: dict[str, bytes]) -> tuple[RegistrySnapshot, CapabilityIndex]:
    snapshot = snapshot_of(documents_in(documents))
    return snapshot, CapabilityIndex(snapshot.capabilities.values())
