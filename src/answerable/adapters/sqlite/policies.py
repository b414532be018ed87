"""Store records about policy sets in SQLite. No mirror: only people's commands read them, no action does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.adapters.sqlite.columns import given, octets, text, whole
from answerable.core.decision.compared import ShadowSeen, ShadowSet
from answerable.core.registry.policy_sets.policy_record import RECORD_KINDS, KeptSets, PolicyRecord, Proposal
from answerable.errors import shown
from answerable.errors.codes.ledger import REGISTER_CORRUPT_MALFORMED

if TYPE_CHECKING:
    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.registry.policy_sets.policy_record import RecordKind


_WHAT: Final = "record of policies"
_PROPOSAL: Final = msgspec.json.Decoder(Proposal)
_KEPT: Final = msgspec.json.Decoder(KeptSets)
_SHADOW: Final = msgspec.json.Decoder(ShadowSet)
_SEEN: Final = msgspec.json.Decoder(ShadowSeen)


class SqlitePolicyRegister:
    """Port PolicyRegister."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        for kind in RECORD_KINDS:
            store.unreadable.look_at(partial(self.all, kind))

    def put(self, record: PolicyRecord) -> None:
        with self._store.write() as connection:
            connection.execute(
                "DELETE FROM policy_records WHERE kind = ? AND id = ?", (record.kind, record.id)
            )
            connection.execute(
                "INSERT INTO policy_records (kind, id, at, body) VALUES (?, ?, ?, ?)",
                (record.kind, record.id, record.at, record.body),
            )

    def find(self, kind: RecordKind, name: str) -> PolicyRecord | None:
        query = "SELECT kind, id, at, body FROM policy_records WHERE kind = ? AND id = ?"
        rows = self._store.rows(query, (kind, name))
        if not rows:
            return None
        made = next(self._store.unreadable.each(_WHAT, rows, record_in_row, 0, 1), None)
        return given(_WHAT, f"{kind} {name}", made)

    def all(self, kind: RecordKind) -> tuple[PolicyRecord, ...]:
        query = "SELECT kind, id, at, body FROM policy_records WHERE kind = ? ORDER BY number DESC"
        return tuple(
            self._store.unreadable.each(_WHAT, self._store.rows(query, (kind,)), record_in_row, 0, 1)
        )

    def remove(self, kind: RecordKind, name: str) -> None:
        with self._store.write() as connection:
            connection.execute("DELETE FROM policy_records WHERE kind = ? AND id = ?", (kind, name))


def record_in_row(row: tuple[object, ...]) -> PolicyRecord:
    kind = text(row[0])
    if kind not in RECORD_KINDS:
        raise REGISTER_CORRUPT_MALFORMED(f"kind {shown(kind)} is not known")
    record = PolicyRecord(kind=kind, id=text(row[1]), at=whole(row[2]), body=octets(row[3]))
    _check_form(record)
    return record


def _check_form(record: PolicyRecord) -> None:
    try:
        if record.kind == "proposal":
            _PROPOSAL.decode(record.body)
        elif record.kind == "kept":
            _KEPT.decode(record.body)
        else:
            _check_shadow(record.body)
    except msgspec.MsgspecError as error:
        raise REGISTER_CORRUPT_MALFORMED(f"it is not what was written: {error}".lower()) from None


def _check_shadow(body: bytes) -> None:
    """Check the shadow set itself, or the record of how far a log was compared with it."""
    try:
        _SHADOW.decode(body)
    except msgspec.ValidationError:
        _SEEN.decode(body)
