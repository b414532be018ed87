"""Run an agent's statements in a lease's session: one at a time, by the extended protocol, in the broker's transaction.

Laws: an agent's text is prepared, so that it is one statement or a syntax error; a statement that ends the surrounding
transaction has failed; session state from one statement is reset before the next; limits are set again for each, since
a session may change its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import anyio
import asyncpg
import msgspec

from answerable.adapters.postgres_roles.connections import LOST, words_of
from answerable.adapters.postgres_roles.locks import held
from answerable.adapters.postgres_roles.plan import EXPLAIN, SECONDS_MAX, plan_summary, plan_told
from answerable.adapters.postgres_roles.quoting import quoted_text
from answerable.adapters.postgres_roles.tools import TOOLS
from answerable.adapters.postgres_roles.values import parameter
from answerable.core.lease.credential import Performed
from answerable.errors import Unavailable, shown
from answerable.errors.codes.leases import TARGET_CONNECTION
from answerable.targets.sql.rows import Rows, TooMany, sql_result
from answerable.targets.sql.tools import asked, check_first_word, refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.ports.upstream import Progress
    from answerable.targets.sql.terms import LeaseTerms

BATCH_ROWS: Final = 50
GRACE_SECONDS: Final = 1.0
"""How much later than the server's own timeout the broker ends a statement."""
CANCEL_SECONDS_MAX: Final = 2.0
TABLES_MAX: Final = 200

_LEADING: Final = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*(?:[^*/]|\*(?!/)|/(?!\*))*\*/)*")
_WORD: Final = re.compile(r"[A-Za-z]+")
READING: Final = frozenset({"select", "values", "table", "with", "show", "explain"})
CHANGING: Final = frozenset({"insert", "update", "delete", "merge", "with", "select"})
PLANNED: Final = CHANGING | {"values", "table"}
_WORDS: Final = {"query": READING, "execute": CHANGING, "explain": PLANNED}
_CLEAN: Final = (
    "CLOSE ALL; UNLISTEN *; SELECT pg_catalog.pg_advisory_unlock_all(); "
    "DISCARD TEMP; DISCARD SEQUENCES; RESET ALL"
)
_WRITTEN: Final = (
    "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::pg_catalog.int8"
    " FROM pg_catalog.pg_stat_xact_user_tables WHERE pg_catalog.has_schema_privilege(schemaname, 'USAGE')"
    " AND (pg_catalog.has_any_column_privilege(relid, 'INSERT') OR pg_catalog.has_any_column_privilege(relid, 'UPDATE')"
    " OR pg_catalog.has_table_privilege(relid, 'DELETE')) AND pg_catalog.left(schemaname, 3) <> 'pg_'"
)
"""Rows that this session wrote to the lease's tables in this transaction, from statistics that are not yet flushed. A
statement's own row count is incomplete: it omits rows changed within WITH."""
_TABLES: Final = """
SELECT n.nspname AS schema, c.relname AS name,
  (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
      'verbs', (SELECT json_agg(lower(v)) FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) v
        WHERE has_column_privilege(c.oid, a.attnum, v))) ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      AND (has_column_privilege(c.oid, a.attnum, 'SELECT') OR has_column_privilege(c.oid, a.attnum, 'INSERT')
        OR has_column_privilege(c.oid, a.attnum, 'UPDATE')))::text AS columns,
  has_table_privilege(c.oid, 'DELETE') AS may_delete
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v') AND n.nspname !~ '^(pg_|information_schema$)'
  AND has_schema_privilege(n.oid, 'USAGE')
  AND (has_any_column_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'INSERT')
    OR has_any_column_privilege(c.oid, 'UPDATE') OR has_table_privilege(c.oid, 'DELETE'))
ORDER BY 1, 2 LIMIT 200
"""


class PostgresSession:
    """One session of a lease. session_id: as in the server's log."""

    def __init__(
        self, connection: asyncpg.Connection, terms: LeaseTerms, *, session_id: str, bytes_max: int
    ) -> None:
        self._connection = connection
        self._terms = terms
        self._session_id = session_id
        self._bytes_max = bytes_max

    async def perform(
        self,
        tool: str,
        arguments: Mapping[str, JSONValue],
        *,
        tag: str,
        seconds_max: float,
        progress: Progress | None = None,
    ) -> Performed:
        # 1. Nothing is sent for invalid arguments.
        sql, parameters = asked(TOOLS, tool, arguments, tag)
        if tool != "list_tables":
            check_first_word(tool, sql, _first_word(sql), _WORDS[tool])
        seconds = max(0.001, min(seconds_max, self._terms.seconds))
        if tool == "explain":
            seconds = min(seconds, SECONDS_MAX)
        # 2. From here on the server may have received the statement.
        try:
            with anyio.fail_after(seconds + GRACE_SECONDS):
                return await self._performed(tool, sql, parameters, tag, seconds)
        except TooMany as many:
            return self._failed(str(many))
        except asyncpg.PostgresConnectionError as lost:
            raise self._lost(lost) from None
        except asyncpg.PostgresError as said:
            if self._connection.is_closed():
                raise self._lost(said) from None
            if getattr(said, "severity", None) is None:
                # The driver could not encode a value as the type that the server expects: the statement did not run.
                raise refused(f"a parameter cannot be said: {words_of(said)}") from None
            return self._failed(f"{words_of(said)} ({said.sqlstate})")
        except LOST as lost:
            raise self._lost(lost) from None
        finally:
            await self._left_clean()

    async def _performed(
        self, tool: str, sql: str, parameters: list[JSONValue], tag: str, seconds: float
    ) -> Performed:
        connection = self._connection
        reads = tool != "execute"
        await connection.execute(
            f"{_CLEAN}; SET application_name = {quoted_text(tag)}; BEGIN {'READ ONLY' if reads else 'READ WRITE'}; "
            f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}"
        )
        if tool == "list_tables":
            return await self._listed()
        if tool == "explain":
            return await self._explained(sql, parameters)
        written = 0 if reads else await connection.fetchval(_WRITTEN)
        statement = await connection.prepare(sql)
        values = _values(parameters, [one.name for one in statement.get_parameters()])
        rows = Rows(
            columns=[one.name for one in statement.get_attributes()],
            rows_max=self._terms.rows_max,
            bytes_max=self._bytes_max,
            reads=reads,
        )
        await _run(statement, values, rows)
        # A statement may have changed the label or ended the transaction. In the second case none of its effects is
        # valid.
        if not connection.is_in_transaction():
            return self._failed("the statement ended its own transaction")
        now = await held(connection, verb=_first_word(sql), writes=not reads)
        if not reads and await connection.fetchval(_WRITTEN) - written > self._terms.rows_max:
            raise rows.too_many()
        # Roll back reads, too: a read-only transaction can still create messages and large objects.
        await connection.execute("ROLLBACK" if reads else "COMMIT")
        places = [("pg_session", self._session_id)]
        places += [(name, value) for name, value in (("pg_vxid", now.vxid), ("pg_xid", now.xid)) if value]
        if now.label != tag:
            places.append(("pg_label_changed", "yes"))
        return self._result(rows.answer(), session=tuple(places), told=now.told)

    async def _explained(self, sql: str, parameters: list[JSONValue]) -> Performed:
        """Plan a statement without executing it. The transaction is read-only, also for what the planner itself
        evaluates."""
        connection = self._connection
        # The newline keeps a comment of the agent's apart from the prefix.
        statement = await connection.prepare(f"{EXPLAIN}\n{sql}")
        values = _values(parameters, [one.name for one in statement.get_parameters()])
        plan = await statement.fetchval(*values)
        await connection.execute("ROLLBACK")
        told = plan_told(plan) if isinstance(plan, str) else None
        if told is None:
            return self._failed("the server's plan of it is none that can be told")
        return self._result(sql_result(told, plan_summary(told)))

    async def _listed(self) -> Performed:
        found = await self._connection.fetch(_TABLES)
        await self._connection.execute("COMMIT")
        tables = [
            {
                "name": f"{row['schema']}.{row['name']}",
                "columns": _columns(row["columns"]),
                "mayDelete": row["may_delete"],
            }
            for row in found
        ]
        said = f"{len(tables)} tables" + (" or more" if len(tables) == TABLES_MAX else "")
        return self._result(sql_result({"tables": tables, "cut": len(tables) == TABLES_MAX}, said))

    def _result(
        self,
        result: dict[str, object],
        *,
        session: tuple[tuple[str, str], ...] = (),
        told: JSONValue = None,
    ) -> Performed:
        return Performed(result=result, session=session or (("pg_session", self._session_id),), told=told)

    def _failed(self, said: str) -> Performed:
        return self._result(sql_result(None, said))

    def _lost(self, lost: BaseException) -> Unavailable:
        return TARGET_CONNECTION(f"the session ended before the answer: {words_of(lost)}", effect="unknown")

    async def _left_clean(self) -> None:
        """Close any open transaction. After a cancellation the driver cancels the statement at the server; wait for
        that."""
        connection = self._connection
        if connection.is_closed():
            return
        with anyio.CancelScope(shield=True):
            try:
                with anyio.fail_after(CANCEL_SECONDS_MAX):
                    if connection.is_in_transaction():
                        await connection.execute("ROLLBACK")
            except (*LOST, asyncpg.PostgresError):
                connection.terminate()


async def _run(statement: asyncpg.prepared_stmt.PreparedStatement, values: list[object], rows: Rows) -> None:
    if not rows.columns:
        await statement.fetch(*values)
        rows.count(_count(statement.get_statusmsg()))
        return
    cursor = await statement.cursor(*values)
    while batch := await cursor.fetch(min(BATCH_ROWS, rows.rows_max + 1)):
        for record in batch:
            if not rows.take(record.values()):
                return


def _first_word(sql: str) -> str:
    """Return the first word as written; empty if the text does not begin with a word."""
    start = _LEADING.match(sql)
    found = _WORD.match(sql, start.end() if start else 0)
    return found[0] if found else ""


def _values(parameters: list[JSONValue], types: list[str]) -> list[object]:
    if len(parameters) != len(types):
        raise refused(f"the statement has {len(types)} parameters, and {len(parameters)} values were given")
    values = []
    for number, (value, name) in enumerate(zip(parameters, types, strict=True), start=1):
        try:
            values.append(parameter(value, name))
        except (TypeError, ValueError):
            raise refused(f"the value of ${number} is no {shown(name, 40)}") from None
    return values


def _count(status: str) -> int | None:
    last = status.rsplit(" ", 1)[-1]
    return int(last) if last.isdigit() else None


def _columns(text: str | None) -> object:
    return msgspec.json.decode(text) if text else []
