"""What is kept of policy sets in SQLite. No mirror: it is read by people's commands, and by no action."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.sqlite.columns import octets, text, whole
from answerable.adapters.sqlite.store import PORT
from answerable.core.registry.policy_record import RECORD_KINDS, PolicyRecord
from answerable.errors import Unavailable, shown

if TYPE_CHECKING:
    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.registry.policy_record import RecordKind


class SqlitePolicyRegister:
    """Port PolicyRegister."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def put(self, record: PolicyRecord) -> None:
        """As the port says."""
        with self._store.write() as connection:
            connection.execute(
                "DELETE FROM policy_records WHERE kind = ? AND id = ?", (record.kind, record.id)
            )
            connection.execute(
                "INSERT INTO policy_records (kind, id, at, body) VALUES (?, ?, ?, ?)",
                (record.kind, record.id, record.at, record.body),
            )

    def find(self, kind: RecordKind, name: str) -> PolicyRecord | None:
        """As the port says."""
        query = "SELECT kind, id, at, body FROM policy_records WHERE kind = ? AND id = ?"
        return next((record_in_row(row) for row in self._store.rows(query, (kind, name))), None)

    def all(self, kind: RecordKind) -> tuple[PolicyRecord, ...]:
        """As the port says."""
        query = "SELECT kind, id, at, body FROM policy_records WHERE kind = ? ORDER BY number DESC"
        return tuple(record_in_row(row) for row in self._store.rows(query, (kind,)))

    def remove(self, kind: RecordKind, name: str) -> None:
        """As the port says."""
        with self._store.write() as connection:
            connection.execute("DELETE FROM policy_records WHERE kind = ? AND id = ?", (kind, name))


def record_in_row(row: tuple[object, ...]) -> PolicyRecord:
    kind = text(row[0])
    if kind not in RECORD_KINDS:
        raise Unavailable(
            f"the register file has a record of policies of kind {shown(kind)}",
            code="register.corrupt",
            port=PORT,
        )
    return PolicyRecord(kind=kind, id=text(row[1]), at=whole(row[2]), body=octets(row[3]))
