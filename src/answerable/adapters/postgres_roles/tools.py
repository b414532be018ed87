"""The MCP tools of a PostgreSQL target."""

from __future__ import annotations

from typing import Final

from answerable.targets.sql.tools import LIST_TABLES, sql_tool, statement

_STATEMENT: Final = statement(
    "$1, $2 …", "The values of $1, $2 … in order. Dates and times as ISO 8601, bytes as hexadecimal."
)
TOOLS: Final = (
    sql_tool(
        "query",
        "Query PostgreSQL",
        "Runs one SELECT (or VALUES, TABLE, SHOW, EXPLAIN) in a read-only transaction and returns its rows. The "
        "role that runs it sees only what this action was granted; `list_tables` says what that is. Rows and "
        "bytes are bounded, and `cut` says whether there was more: ask for what you need with WHERE, ORDER BY "
        "and LIMIT.",
        _STATEMENT,
        reads=True,
    ),
    sql_tool(
        "execute",
        "Change PostgreSQL",
        "Runs one INSERT, UPDATE or DELETE in a transaction of its own, which is committed when it succeeds, and "
        "returns how many rows it changed and the rows of RETURNING. Where it would change more rows than were "
        "granted, nothing is changed.",
        _STATEMENT,
        reads=False,
    ),
    sql_tool(
        "explain",
        "Explain a statement",
        "Says what one SELECT, INSERT, UPDATE, DELETE or MERGE would touch: tables, and rows as the server's "
        "planner estimates them. Nothing is run and nothing is changed; what triggers and cascades would do beside "
        "is not in it.",
        _STATEMENT,
        reads=True,
    ),
    LIST_TABLES,
)
