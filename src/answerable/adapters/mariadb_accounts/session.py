"""Run an agent's statements on MariaDB: each action gets its own connection and runs one statement in a transaction
that the broker controls.

Laws: an agent's SQL reaches the server in hexadecimal, inside `EXECUTE IMMEDIATE`, which accepts exactly one statement;
a connection serves one action, so no session state reaches the next; nothing is committed whose rows were not counted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import anyio
from aiomysql.cursors import SSCursor

from answerable.adapters.mariadb_accounts.connection import (
    LOST,
    REFUSED,
    connected,
    number_of,
    run,
    words_of,
)
from answerable.adapters.mariadb_accounts.quoting import hexed
from answerable.adapters.mariadb_accounts.tools import TOOLS
from answerable.adapters.mariadb_accounts.values import expression
from answerable.core.lease.credential import Performed
from answerable.errors import Unavailable
from answerable.errors.codes.leases import TARGET_CONNECTION, TARGET_POOLED
from answerable.targets.sql.rows import Rows, TooMany, sql_result
from answerable.targets.sql.server import once_there_is_room
from answerable.targets.sql.tools import asked, check_first_word, refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiomysql

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import Credential
    from answerable.errors import Effect
    from answerable.ports.upstream import Progress
    from answerable.targets.sql.server import ServerPlace
    from answerable.targets.sql.terms import LeaseTerms

BATCH_ROWS: Final = 50
GRACE_SECONDS: Final = 1.0
"""How long the client waits beyond the server's own statement limit."""
CANCEL_SECONDS_MAX: Final = 2.0
TABLES_MAX: Final = 200

_LEADING: Final = re.compile(
    r"(?:\s+|--(?:\s[^\n]*)?(?:\n|$)|#[^\n]*(?:\n|$)|/\*(?!!|M!)(?:[^*]|\*(?!/))*\*/)*"
)
"""Blanks and comments, except comments that the server executes."""
_WORD: Final = re.compile(r"[A-Za-z]+")
READING: Final = frozenset({"select", "values", "with", "show", "explain", "describe", "desc"})
CHANGING: Final = frozenset({"insert", "update", "delete", "replace"})
_FULL: Final = 1226
"""The account has as many sessions as it may have."""
_OTHER_COUNT: Final = 1210
"""The values of EXECUTE are more or fewer than the placeholders of its statement."""
_KILLED: Final = 1927
"""The connection was killed, as a revocation of the lease does."""


class MariadbSession:
    """A session of one lease; one call at a time, each on a connection of its own."""

    def __init__(
        self, place: ServerPlace, credential: Credential, terms: LeaseTerms, *, bytes_max: int
    ) -> None:
        self._place = place
        self._credential = credential
        self._terms = terms
        self._bytes_max = bytes_max
        self._connection: aiomysql.Connection | None = None
        self._id = 0
        self._label = ""

    async def open(self, *, label: str) -> None:
        """Open a new connection. label: listed by the server among the connection's attributes. Raises Unavailable."""
        self.close()
        try:
            self._connection = await self._connected(label)
            ((seen,),) = await run(self._connection, "SELECT CONNECTION_ID()")
        except (*LOST, REFUSED) as lost:
            self.close()
            raise self._lost("cannot open a session", lost, effect="none") from None
        self._id, self._label = int(seen), label
        if self._id != self._connection.thread_id():
            self.close()
            raise TARGET_POOLED(
                "there is a proxy before the server, so sessions would be shared between leases: "
                "configure the address of the server itself"
            )

    def close(self) -> None:
        """Close the connection. The server rolls back uncommitted changes."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    async def perform(
        self,
        tool: str,
        arguments: Mapping[str, JSONValue],
        *,
        tag: str,
        seconds_max: float,
        progress: Progress | None = None,
    ) -> Performed:
        # 1. Check the arguments before anything is sent.
        sql, parameters = asked(TOOLS, tool, arguments, tag)
        if tool != "list_tables":
            words = READING if tool == "query" else CHANGING
            check_first_word(tool, sql, _first_word(sql), words)
        statement = _statement(sql, parameters)
        seconds = max(0.001, min(seconds_max, self._terms.seconds))
        # 2. Use a connection that has not served any action.
        await self.open(label=tag or self._credential.lease)
        assert self._connection is not None  # noqa: S101 - `open` made it, or raised
        # 3. From here on the server may have received the statement.
        is_done = False
        try:
            with anyio.fail_after(seconds + GRACE_SECONDS):
                performed = await self._performed(self._connection, tool, statement, seconds)
            is_done = True
        except TooMany as many:
            is_done = True
            return self._failed(str(many))
        except (*LOST, REFUSED) as failure:
            number = number_of(failure)
            is_done = bool(number)
            if not number or number == _KILLED:
                raise self._lost("the session ended before the answer", failure, effect="unknown") from None
            if number == _OTHER_COUNT:
                return self._failed(
                    f"the statement has another number of `?` than `parameters` has values, {len(parameters)} "
                    f"({number})"
                )
            return self._failed(f"{words_of(failure)} ({number})")
        finally:
            self.close()
            if not is_done:
                await self._stopped()
        return performed

    async def _performed(
        self, connection: aiomysql.Connection, tool: str, statement: str, seconds: float
    ) -> Performed:
        reads = tool != "execute"
        await run(
            connection,
            f"SET SESSION max_statement_time = {seconds:.3f}, lock_wait_timeout = {max(1, int(seconds))},"
            f" innodb_lock_wait_timeout = {max(1, int(seconds))}, autocommit = 1",
        )
        if tool == "list_tables":
            return await self._listed(connection)
        await run(connection, f"START TRANSACTION {'READ ONLY' if reads else 'READ WRITE'}")
        first = await _query_id(connection)
        rows = await self._run(connection, statement, reads=reads)
        if not reads:
            await run(connection, "COMMIT")
        return self._result(rows.answer(), after=str(first))

    async def _run(self, connection: aiomysql.Connection, statement: str, *, reads: bool) -> Rows:
        cursor = await connection.cursor(SSCursor)
        await cursor.execute(statement)
        rows = Rows(
            columns=[str(one[0]) for one in cursor.description or ()],
            rows_max=self._terms.rows_max,
            bytes_max=self._bytes_max,
            reads=reads,
        )
        if not rows.columns:
            rows.count(max(0, cursor.rowcount))
            return rows
        while batch := await cursor.fetchmany(BATCH_ROWS):
            for record in batch:
                if not rows.take(record):
                    return rows
        return rows

    async def _listed(self, connection: aiomysql.Connection) -> Performed:
        rows = await run(
            connection,
            "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, PRIVILEGES FROM information_schema.COLUMNS"
            " WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME, ORDINAL_POSITION",
            self._terms.database,
        )
        tables: dict[str, list[dict[str, object]]] = {}
        for table, column, kind, rights in rows:
            held = [right for right in str(rights).split(",") if right in ("select", "insert", "update")]
            tables.setdefault(str(table), []).append({"name": str(column), "type": str(kind), "verbs": held})
        listed = [{"name": name, "columns": columns} for name, columns in list(tables.items())[:TABLES_MAX]]
        is_cut = len(tables) > TABLES_MAX
        said = f"{len(listed)} tables{' or more' * is_cut}"
        return self._result(sql_result({"tables": listed, "cut": is_cut}, said))

    def _failed(self, said: str) -> Performed:
        return self._result(sql_result(None, said))

    def _result(self, result: dict[str, object], *, after: str = "") -> Performed:
        session = [("mariadb_connection", str(self._id))]
        if after:
            # The connection served this action only: its statement has the connection's next query id.
            session.append(("mariadb_query_after", after))
        return Performed(result=result, session=tuple(session))

    def _lost(self, what: str, lost: BaseException, *, effect: Effect) -> Unavailable:
        return TARGET_CONNECTION(f"{what}: {words_of(lost)}", effect=effect)

    async def _connected(self, label: str) -> aiomysql.Connection:
        return await once_there_is_room(
            lambda: self._logged_in(label),
            lambda failed: isinstance(failed, REFUSED) and number_of(failed) == _FULL,
        )

    async def _logged_in(self, label: str) -> aiomysql.Connection:
        return await connected(
            self._place,
            account=self._credential.account,
            password=self._credential.secret.reveal("password"),
            database=self._terms.database,
            label=label,
        )

    async def _stopped(self) -> None:
        """Kill the statement by a second connection of the lease: the server would run it to the end after the first is
        closed."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(CANCEL_SECONDS_MAX):
            try:
                connection = await self._connected(self._label)
                try:
                    await run(connection, f"KILL HARD CONNECTION {self._id:d}")
                finally:
                    connection.close()
            except (*LOST, REFUSED):
                return


def _statement(sql: str, parameters: list[JSONValue]) -> str:
    if not sql:
        return ""
    values = []
    for number, value in enumerate(parameters, start=1):
        try:
            values.append(expression(value))
        except (ValueError, UnicodeEncodeError):
            raise refused(f"value {number} is none that MariaDB can hold") from None
    try:
        text = hexed(sql)
    except UnicodeEncodeError:
        raise refused("`sql` has characters that are none") from None
    return f"EXECUTE IMMEDIATE {text}" + (f" USING {', '.join(values)}" if values else "")


def _first_word(sql: str) -> str:
    """Return the first word as written; empty if the text does not begin with a word."""
    start = _LEADING.match(sql)
    found = _WORD.match(sql, start.end() if start else 0)
    return found[0] if found else ""


async def _query_id(connection: aiomysql.Connection) -> int:
    """Return the query id of this statement. Later statements have greater ids, server-wide."""
    rows: Any = await run(
        connection, "SELECT QUERY_ID FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()"
    )
    return int(rows[0][0])
