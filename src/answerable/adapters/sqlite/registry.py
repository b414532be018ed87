"""Store registry documents in SQLite, with snapshot and index in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import octets, read, text
from answerable.adapters.sqlite.unreadable import fetched
from answerable.core.registry.parsing.active import documents_in
from answerable.core.registry.parsing.in_force import DocumentsInForce, in_force
from answerable.errors import shown
from answerable.errors.codes.ledger import REGISTER_CHANGED_MEANWHILE, REGISTER_CORRUPT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.adapters.sqlite.unreadable import Row
    from answerable.core.registry.parsing.in_force import Coming, InForce
    from answerable.core.registry.snapshot.resolve import CapabilityIndex
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot


_WHAT: Final = "document"
_ALL: Final = "SELECT key, body FROM documents ORDER BY key"


class SqliteRegistryStore:
    """Port RegistryStore. `current`, `index` and `coming` are read several times for each action, and so are plain
    attributes."""

    current: RegistrySnapshot
    index: CapabilityIndex
    coming: Coming | None

    def __init__(self, store: SqliteStore) -> None:
        """Raises Unavailable (`register.unavailable`, `register.corrupt`)."""
        self._store = store
        self._known = DocumentsInForce()
        self._show()
        store.mirror(self._reload, register="documents")
        damaged = [one.name for one in store.unreadable.all() if one.what == _WHAT]
        if damaged:
            raise REGISTER_CORRUPT(
                f"document {shown(damaged[0])} cannot be read: restart the server to rebuild it "
                "from the ledger"
            )
        stored = self._known.coming
        if stored is not None:
            with read("registry", "documents"):
                self.take_over(stored, in_force(stored.documents))

    def documents(self) -> dict[str, bytes]:
        return dict(self._known.present.documents)

    def put(self, documents: dict[str, bytes], made: InForce | None = None) -> None:
        # Documents without a valid snapshot must not reach the file.
        if made is None or made.documents != documents:
            made = in_force(documents)
        with self._store.write() as connection:
            rows, ours = fetched(connection, _ALL, ()), self._known.present.documents
            stored = self._readable(rows)
            if len(rows) != len(ours) or not stored.items() <= ours.items():
                raise REGISTER_CHANGED_MEANWHILE()
            if len(stored) < len(rows):
                # Rewrite unreadable rows with all others, from the documents in force.
                connection.execute("DELETE FROM documents")
                stored = {}
            # Write changed rows only, since each write is recorded as a change of authority.
            gone = [(key,) for key in stored if key not in made.documents]
            connection.executemany("DELETE FROM documents WHERE key = ?", gone)
            connection.executemany(
                "INSERT INTO documents (key, body) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET body = excluded.body",
                [one for one in made.documents.items() if stored.get(one[0]) != one[1]],
            )
        self._known.put(made)
        self._show()

    def take_over(self, coming: Coming, made: InForce) -> bool:
        try:
            return self._known.take_over(coming, made)
        finally:
            self._show()

    def _reload(self) -> None:
        rows = self._store.rows(_ALL)
        stored = self._readable(rows)
        # An unreadable document may contain a prohibition, so keep the documents in force.
        if len(stored) == len(rows):
            self._known.see(stored)
            self._show()

    def _show(self) -> None:
        known = self._known
        self.coming, self.index, self.current = known.coming, known.present.index, known.present.snapshot

    def _readable(self, rows: Sequence[Row]) -> dict[str, bytes]:
        present, damaged = self._known.present.documents, self._store.unreadable
        known = {key: body for key, body in present.items() if not damaged.has(_WHAT, key)}
        made = known.items() & rows
        return dict(made) | dict(
            damaged.each(_WHAT, [row for row in rows if row not in made], document_in_row)
        )


def document_in_row(row: Row) -> tuple[str, bytes]:
    """Return name and text of a document. Raises Unavailable (`register.corrupt`), and Malformed as `documents_in`."""
    key, body = text(row[0]), octets(row[1])
    documents_in({key: body})
    return key, body
