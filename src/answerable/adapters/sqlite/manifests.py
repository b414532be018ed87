"""Store signed manifests in SQLite, with a mirror of those in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import text, whole
from answerable.adapters.sqlite.unreadable import named
from answerable.core.identity.names.principal import AgentId
from answerable.core.registry.manifests.manifest_token import stored_manifest
from answerable.errors import shown
from answerable.errors.codes.ledger import REGISTER_CORRUPT_MALFORMED
from answerable.errors.codes.registry import MANIFEST_OLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.registry.manifests.manifest_token import SignedManifest


_WHAT: Final = "manifest of"


class SqliteManifestRegister:
    """Port ManifestRegister. Rows are only added; an agent's newest row, by number, is in force."""

    def __init__(self, store: SqliteStore) -> None:
        """Raises Unavailable (`register.unavailable`, `register.corrupt`)."""
        self._store = store
        self._current: dict[AgentId, SignedManifest] = {}
        self._out_of_use: set[str] = set()
        self._read = 0
        self._changes = 0
        store.mirror(self._reload, register="manifests")

    def put(self, signed: SignedManifest) -> None:
        agent = signed.manifest.agent
        # The file decides, not the mirror: another process may have added one since.
        with self._store.write() as connection:
            row = connection.execute(
                "SELECT signed_at, token FROM manifests WHERE agent = ? ORDER BY number DESC LIMIT 1",
                (agent,),
            ).fetchone()
            known = row is not None and text(row[1]) == signed.token
            if row is not None and not known and signed.signed_at <= whole(row[0]):
                raise MANIFEST_OLDER(
                    f"agent {shown(agent)} has a manifest that was signed at the same time or later"
                )
            if not known:
                connection.execute(
                    "INSERT INTO manifests (agent, digest, signed_at, token) VALUES (?, ?, ?, ?)",
                    (agent, signed.digest, signed.signed_at, signed.token),
                )
        # A refresh in another thread may have read a later one meanwhile.
        kept = self._current.get(agent)
        if kept is None or kept.signed_at < signed.signed_at:
            self._current[agent] = signed
            self._changes += 1
        self._out_of_use.discard(agent)

    def current(self, agent: AgentId) -> SignedManifest | None:
        return self._current.get(agent)

    def is_unreadable(self, agent: AgentId) -> bool:
        return agent in self._out_of_use

    def changes(self) -> int:
        """Return the number of changes. Two concurrent changes may count as one; the number still differs."""
        return self._changes

    def history(self, agent: AgentId) -> Sequence[SignedManifest]:
        query = "SELECT agent, digest, signed_at, token FROM manifests WHERE agent = ? ORDER BY number DESC"
        return tuple(
            self._store.unreadable.each(
                "former manifest of", self._store.rows(query, (agent,)), signed_in_row, 0, 2
            )
        )

    def _reload(self) -> None:
        """Read new rows only, since stored rows never change."""
        query = (
            "SELECT agent, digest, signed_at, token, number FROM manifests WHERE number > ? ORDER BY number"
        )
        for row in self._store.rows(query, (self._read,)):
            self._take(AgentId(named(row[0])), row)
            self._changes += 1
            self._read = whole(row[4])

    def _take(self, agent: AgentId, row: tuple[object, ...]) -> None:
        """Take a row. An agent whose newest manifest cannot be read has none, not an older one."""
        signed = self._store.unreadable.made(_WHAT, agent, lambda: signed_in_row(row))
        if signed is not None:
            self._current[agent] = signed
            self._out_of_use.discard(agent)
        else:
            self._current.pop(agent, None)
            self._out_of_use.add(agent)


def signed_in_row(row: tuple[object, ...]) -> SignedManifest:
    signed = stored_manifest(text(row[3]))
    if (signed.manifest.agent, signed.digest, signed.signed_at) != (text(row[0]), row[1], row[2]):
        raise REGISTER_CORRUPT_MALFORMED("it is not the one that its row names")
    return signed
