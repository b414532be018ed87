"""Combine what the registers of one file could not write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.ports.register_room import EndedHere

if TYPE_CHECKING:
    from answerable.adapters.sqlite.holds import SqliteHoldRegister
    from answerable.adapters.sqlite.mandates import SqliteMandateRegister
    from answerable.adapters.sqlite.revocations import SqliteRevocationRegister
    from answerable.adapters.sqlite.store import SqliteStore


class SqliteRegisterRoom:
    """Port RegisterRoom."""

    def __init__(
        self,
        store: SqliteStore,
        *,
        holds: SqliteHoldRegister,
        revocations: SqliteRevocationRegister,
        mandates: SqliteMandateRegister,
    ) -> None:
        self._store = store
        self._holds, self._revocations, self._mandates = holds, revocations, mandates

    @property
    def why(self) -> str:
        return self._store.room.why

    def look(self) -> str:
        return self._store.look_for_room()

    def behind(self) -> EndedHere:
        return EndedHere(
            holds=self._holds.behind(),
            revocations=self._revocations.behind(),
            mandates=self._mandates.behind(),
        )

    def catch_up(self) -> None:
        for register in (self._revocations, self._holds, self._mandates):
            register.catch_up()
