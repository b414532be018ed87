"""Load, save and compare the rows of each register table that is a projection of the ledger."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from answerable.adapters.sqlite.approval_rows import body_of, from_body
from answerable.adapters.sqlite.authorities import AuthorityTable
from answerable.adapters.sqlite.columns import octets, read, text, whole
from answerable.adapters.sqlite.manifests import signed_in_row
from answerable.adapters.sqlite.people_tables import DutyTable, PasskeyTable
from answerable.adapters.sqlite.policies import record_in_row
from answerable.adapters.sqlite.stream_table import StreamTable
from answerable.adapters.sqlite.tool_pins import PIN_COLUMNS, pin_in_row
from answerable.adapters.sqlite.unreadable import fetched
from answerable.core.canonical import encode, parse
from answerable.core.ledger.leaves import Reference
from answerable.core.ledger.projected import octets_in
from answerable.core.ledger.projected_approvals import (
    APPROVAL_TAGS,
    approval_after,
    approvals_in,
    more_ended,
)
from answerable.core.ledger.projected_documents import (
    DOCUMENT_TAGS,
    POLICY_TAGS,
    document_after,
    documents_in_change,
    records_after,
    records_of_kind,
)
from answerable.core.ledger.projected_mandates import MANDATE_TAGS, MandateRow, mandate_after
from answerable.core.ledger.projected_pins import MANIFEST_TAGS, PIN_TAGS, manifests_after, pins_after
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.token import claims_of, signed, terms_of
from answerable.errors import Unavailable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from answerable.core.approval.approval import Approval
    from answerable.core.ledger.projected import Told
    from answerable.core.registry.manifests.manifest_token import SignedManifest
    from answerable.core.registry.policy_sets.policy_record import PolicyRecord
    from answerable.core.registry.tools.tool_pin import ToolPin


class ProjectedTable(Protocol):
    """One register. A row is the value under one key, possibly a list; a row that compares equal is not written."""

    @property
    def name(self) -> str:
        """The register's name, which never changes."""
        ...

    @property
    def tags(self) -> frozenset[Tag]:
        """Tags of the entries that affect the register."""
        ...

    def keys(self, told: Told) -> Iterable[str]:
        """Return the keys of the rows that an entry affects."""
        ...

    def after(self, key: str, row: Any, told: Told) -> Any:
        """Return the row after the entry. Raises AnswerableError for an entry that does not count."""
        ...

    def load(self, connection: sqlite3.Connection, key: str) -> Any:
        """Return the row, or the value that represents no row. Raises Unavailable (`register.corrupt`)."""
        ...

    def save(self, connection: sqlite3.Connection, key: str, row: Any) -> None:
        """Replace the stored row."""
        ...

    def all(self, connection: sqlite3.Connection) -> Iterator[str]:
        """Yield every key."""
        ...

    def mended(self, live: Any, told: Any) -> Any:
        """Return the corrected row for a row that differs from the ledger's. A row that has ended stays ended."""
        ...


class DocumentTable:
    """Registry documents, by `kind/name`."""

    name: Final = "documents"
    tags: Final = DOCUMENT_TAGS

    def keys(self, told: Told) -> Iterable[str]:
        return documents_in_change(told)

    def after(self, key: str, row: bytes | None, told: Told) -> bytes | None:
        return document_after(key, told)

    def load(self, connection: sqlite3.Connection, key: str) -> bytes | None:
        row = connection.execute("SELECT body FROM documents WHERE key = ?", (key,)).fetchone()
        return octets(row[0]) if row else None

    def save(self, connection: sqlite3.Connection, key: str, row: bytes | None) -> None:
        connection.execute("DELETE FROM documents WHERE key = ?", (key,))
        if row is not None:
            connection.execute("INSERT INTO documents (key, body) VALUES (?, ?)", (key, row))

    def all(self, connection: sqlite3.Connection) -> Iterator[str]:
        yield from _names(connection, "SELECT key FROM documents")

    def mended(self, live: bytes | None, told: bytes | None) -> bytes | None:
        return told


class PolicyTable:
    """Pending proposals and past policy sets, one ordered list for each kind."""

    name: Final = "policies"
    tags: Final = POLICY_TAGS

    def keys(self, told: Told) -> Iterable[str]:
        return records_of_kind(told)

    def after(self, key: str, row: tuple[PolicyRecord, ...], told: Told) -> tuple[PolicyRecord, ...]:
        return records_after(row, told)

    def load(self, connection: sqlite3.Connection, key: str) -> tuple[PolicyRecord, ...]:
        query = "SELECT kind, id, at, body FROM policy_records WHERE kind = ? ORDER BY number"
        return tuple(record_in_row(row) for row in connection.execute(query, (key,)).fetchall())

    def save(self, connection: sqlite3.Connection, key: str, row: tuple[PolicyRecord, ...]) -> None:
        connection.execute("DELETE FROM policy_records WHERE kind = ?", (key,))
        insert = "INSERT INTO policy_records (kind, id, at, body) VALUES (?, ?, ?, ?)"
        connection.executemany(insert, [(one.kind, one.id, one.at, one.body) for one in row])

    def all(self, connection: sqlite3.Connection) -> Iterator[str]:
        """Yield every kind except shadow sets, which decide nothing and appear in no entry."""
        yield from _names(connection, "SELECT DISTINCT kind FROM policy_records WHERE kind <> 'shadow'")

    def mended(
        self, live: tuple[PolicyRecord, ...], told: tuple[PolicyRecord, ...]
    ) -> tuple[PolicyRecord, ...]:
        return told


class ManifestTable:
    """Signed manifests, one ordered list for each agent."""

    name: Final = "manifests"
    tags: Final = MANIFEST_TAGS

    def keys(self, told: Told) -> Iterable[str]:
        return (str(told.leaf.get("agent")),)

    def after(self, key: str, row: tuple[SignedManifest, ...], told: Told) -> tuple[SignedManifest, ...]:
        return manifests_after(row, told)

    def load(self, connection: sqlite3.Connection, key: str) -> tuple[SignedManifest, ...]:
        query = "SELECT agent, digest, signed_at, token FROM manifests WHERE agent = ? ORDER BY number"
        return tuple(signed_in_row(row) for row in connection.execute(query, (key,)).fetchall())

    def save(self, connection: sqlite3.Connection, key: str, row: tuple[SignedManifest, ...]) -> None:
        connection.execute("DELETE FROM manifests WHERE agent = ?", (key,))
        insert = "INSERT INTO manifests (agent, digest, signed_at, token) VALUES (?, ?, ?, ?)"
        connection.executemany(insert, [(key, one.digest, one.signed_at, one.token) for one in row])

    def all(self, connection: sqlite3.Connection) -> Iterator[str]:
        yield from _names(connection, "SELECT DISTINCT agent FROM manifests")

    def mended(
        self, live: tuple[SignedManifest, ...], told: tuple[SignedManifest, ...]
    ) -> tuple[SignedManifest, ...]:
        return told


class ToolPinTable:
    """Pinned definitions, one ordered list for each tool, under `server/tool`."""

    name: Final = "tool_pins"
    tags: Final = PIN_TAGS

    def keys(self, told: Told) -> Iterable[str]:
        return (f"{told.leaf.get('server')}/{told.leaf.get('tool')}",)

    def after(self, key: str, row: tuple[ToolPin, ...], told: Told) -> tuple[ToolPin, ...]:
        return pins_after(row, told)

    def load(self, connection: sqlite3.Connection, key: str) -> tuple[ToolPin, ...]:
        # A server's name contains no slash; a tool's name may.
        query = f"SELECT {PIN_COLUMNS} FROM tool_pins WHERE server = ? AND tool = ? ORDER BY number"  # noqa: S608
        rows = connection.execute(query, key.split("/", 1)).fetchall()
        return tuple(pin_in_row(row) for row in rows)

    def save(self, connection: sqlite3.Connection, key: str, row: tuple[ToolPin, ...]) -> None:
        connection.execute("DELETE FROM tool_pins WHERE server = ? AND tool = ?", key.split("/", 1))
        connection.executemany(
            "INSERT INTO tool_pins (server, tool, definition, text, at, signed_by, key, token) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (one.server, one.tool, one.definition, one.text, one.at, one.signed_by, one.key, one.token)
                for one in row
            ],
        )

    def all(self, connection: sqlite3.Connection) -> Iterator[str]:
        yield from _names(connection, "SELECT DISTINCT server || '/' || tool FROM tool_pins")

    def mended(self, live: tuple[ToolPin, ...], told: tuple[ToolPin, ...]) -> tuple[ToolPin, ...]:
        return told


class MandateTable:
    """Mandates, with the entries that issued them."""

    name: Final = "mandates"
    tags: Final = MANDATE_TAGS

    def keys(self, told: Told) -> Iterable[str]:
        return (str(told.leaf.get("mandate")),)

    def after(self, key: str, row: MandateRow | None, told: Told) -> MandateRow | None:
        return mandate_after(row, told)

    def load(self, connection: sqlite3.Connection, key: str) -> MandateRow | None:
        row = connection.execute("SELECT claims, token, state FROM mandates WHERE id = ?", (key,)).fetchone()
        if row is None:
            return None
        with read("mandate", key):
            claims = parse(octets(row[0]))
            mandate = signed(terms_of(claims if isinstance(claims, dict) else {}), text(row[1]))
        query = "SELECT entry, leaf, origin FROM mandates_issued WHERE mandate = ?"
        place = connection.execute(query, (key,)).fetchone()
        issued = place and Reference(entry=whole(place[0]), leaf=text(place[1]), log=text(place[2]))
        return MandateRow(mandate, closed=row[2] != "open", issued=issued)

    def save(self, connection: sqlite3.Connection, key: str, row: MandateRow | None) -> None:
        if row is None or row.mandate is None:
            return
        state = "closed" if row.closed else "open"
        values = (encode(claims_of(row.mandate, audience="")), row.mandate.token, state, key)
        update = "UPDATE mandates SET claims = ?, token = ?, state = ? WHERE id = ?"
        if not connection.execute(update, values).rowcount:
            connection.execute("INSERT INTO mandates (claims, token, state, id) VALUES (?, ?, ?, ?)", values)
        if row.issued is not None:
            place = (key, row.issued.log, row.issued.entry, row.issued.leaf)
            insert = (
                "INSERT OR REPLACE INTO mandates_issued (mandate, origin, entry, leaf) VALUES (?, ?, ?, ?)"
            )
            connection.execute(insert, place)

    def all(self, connection: sqlite3.Connection) -> Iterator[str]:
        yield from _names(connection, "SELECT id FROM mandates")

    def mended(self, live: MandateRow | None, told: MandateRow | None) -> MandateRow | None:
        """Return the corrected row. A mandate whose person was erased is closed."""
        if live is None or told is None:
            return told if live is None else replace(live, closed=True)
        return replace(told, closed=live.closed or told.closed)


class ApprovalTable:
    """Approvals. Each write takes the next change number, by which other processes find the row."""

    name: Final = "approvals"
    tags: Final = APPROVAL_TAGS

    def keys(self, told: Told) -> Iterable[str]:
        return approvals_in(told)

    def after(self, key: str, row: Approval | None, told: Told) -> Approval | None:
        return approval_after(row, told)

    def load(self, connection: sqlite3.Connection, key: str) -> Approval | None:
        row = connection.execute("SELECT state, body FROM approvals WHERE id = ?", (key,)).fetchone()
        if row is None:
            return None
        with read("approval", key):
            return from_body(octets(row[1]), state=text(row[0]))

    def save(self, connection: sqlite3.Connection, key: str, row: Approval | None) -> None:
        if row is None:
            return
        values = (row.state, row.expires_at, body_of(row), key)
        number = "(SELECT coalesce(max(change), 0) + 1 FROM approvals)"
        update = f"UPDATE approvals SET state = ?, expires_at = ?, body = ?, change = {number} WHERE id = ?"  # noqa: S608
        if not connection.execute(update, values).rowcount:
            insert = (
                f"INSERT INTO approvals (state, expires_at, body, id, change) VALUES (?, ?, ?, ?, {number})"  # noqa: S608
            )
            connection.execute(insert, values)

    def all(self, connection: sqlite3.Connection) -> Iterator[str]:
        yield from _names(connection, "SELECT id FROM approvals")

    def mended(self, live: Approval | None, told: Approval | None) -> Approval | None:
        if live is None or told is None:
            return told
        return replace(told, state=more_ended(live.state, told.state))


class JoinTokenTable:
    """Join tokens, of which only the use is recorded: no entry states what a token grants, so a lost token is void. A
    row is the time of use, 0 before that; None if there is no such token."""

    name: Final = "join_tokens"
    tags: Final = frozenset({Tag.WORKLOAD_ENROLLED})

    def keys(self, told: Told) -> Iterable[str]:
        digest = octets_in(told.leaf.get("join_token"), 32)
        return (digest.hex(),) if digest is not None else ()

    def after(self, key: str, row: int | None, told: Told) -> int | None:
        return told.whole("at") if row == 0 else row

    def load(self, connection: sqlite3.Connection, key: str) -> int | None:
        query = "SELECT used_at FROM join_tokens WHERE digest = ?"
        row = connection.execute(query, (bytes.fromhex(key),)).fetchone()
        return None if row is None else whole(row[0] or 0)

    def save(self, connection: sqlite3.Connection, key: str, row: int | None) -> None:
        connection.execute("UPDATE join_tokens SET used_at = ? WHERE digest = ?", (row, bytes.fromhex(key)))

    def all(self, connection: sqlite3.Connection) -> Iterator[str]:
        """Yield nothing: no row can be rebuilt from entries."""
        yield from ()

    def mended(self, live: int | None, told: int | None) -> int | None:
        return live


PROJECTED: Final[tuple[ProjectedTable, ...]] = (
    DocumentTable(),
    PolicyTable(),
    ManifestTable(),
    ToolPinTable(),
    MandateTable(),
    ApprovalTable(),
    JoinTokenTable(),
    AuthorityTable(),
    PasskeyTable(),
    DutyTable(),
    StreamTable(),
)
"""In the order in which one entry is applied: keys first, then statements signed with them."""


def _names(connection: sqlite3.Connection, query: str) -> Iterator[str]:
    for row in fetched(connection, query, ()):
        with suppress(Unavailable):  # an unreadable name identifies no row
            yield text(row[0])
