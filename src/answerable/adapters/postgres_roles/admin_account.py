"""Rotate the password of the broker's own PostgreSQL account, over the account's own connection.

The server gets a SCRAM verifier, never the password, and stores one at a time: a connection opened during the change
tries both passwords.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio
import asyncpg

from answerable.adapters.postgres_roles.connections import (
    LOST,
    NO_ENTRY,
    ROLLBACK_SECONDS_MAX,
    logged_in,
    unavailable,
    words_of,
)
from answerable.adapters.postgres_roles.quoting import quoted_text
from answerable.adapters.postgres_roles.scram import SALT_BYTES, scram_verifier
from answerable.errors.codes.leases import ACCOUNT_REFUSED, ACCOUNT_TARGET
from answerable.ports.admin_account import PORT
from answerable.targets.own_account import let_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.ports.entropy import Entropy
    from answerable.targets.sql.server import ServerPlace

CUT: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = "
    "(SELECT oid FROM pg_roles WHERE rolname = session_user) AND pid <> pg_backend_pid()"
)


class PostgresOwnAccount:
    """Implements ports.admin_account.AdminAccount. home: the database that the account logs in to."""

    def __init__(self, place: ServerPlace, *, home: str, entropy: Entropy) -> None:
        self._place = place
        self._home = home
        self._entropy = entropy

    @property
    def place(self) -> str:
        return f"postgres {self._place.account}@{self._place.host}:{self._place.port}"

    async def set_to(self, new: str, *, known: Sequence[str], cuts: bool) -> None:
        """Set the password. An account may change its own password without any other right."""
        connection = await let_in(self.place, known, self._entered)
        try:
            with unavailable(effect="unknown", code=ACCOUNT_TARGET, port=PORT):
                # Make this commit durable before it returns, whatever the server's setting.
                await connection.execute("SET synchronous_commit = on")
                await self._alter(connection, new)
                if cuts:
                    await connection.execute(CUT)
        finally:
            await _closed(connection)

    async def _alter(self, connection: asyncpg.Connection, new: str) -> None:
        verifier = scram_verifier(new, self._entropy.bytes(SALT_BYTES))
        try:
            await connection.execute(f"ALTER ROLE CURRENT_USER PASSWORD {quoted_text(verifier)}")
        except asyncpg.InsufficientPrivilegeError as refused:
            message = f"the server does not let the account change its password: {words_of(refused)}"
            raise ACCOUNT_REFUSED(message) from None

    async def takes(self, value: str) -> bool:
        connection = await self._entered(value)
        if connection is not None:
            await _closed(connection)
        return connection is not None

    async def _entered(self, value: str) -> asyncpg.Connection | None:
        """Log in; None if the server rejects the password."""
        with unavailable(effect="none", code=ACCOUNT_TARGET, port=PORT):
            try:
                return await logged_in(self._place, self._home, value)
            except NO_ENTRY:
                return None


async def _closed(connection: asyncpg.Connection) -> None:
    with anyio.CancelScope(shield=True), anyio.move_on_after(ROLLBACK_SECONDS_MAX), suppress(*LOST):
        await connection.close()
    connection.terminate()
