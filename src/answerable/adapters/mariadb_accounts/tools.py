"""The MCP tools of a MariaDB target."""

from __future__ import annotations

from typing import Final

from answerable.targets.sql.tools import LIST_TABLES, sql_tool, statement

_STATEMENT: Final = statement(
    "? in order", "The values of the ? in order. Dates and times as text, bytes as hexadecimal with UNHEX(?)."
)
TOOLS: Final = (
    sql_tool(
        "query",
        "Query MariaDB",
        "Runs one SELECT (or WITH, VALUES, SHOW, EXPLAIN, DESCRIBE) in a read-only transaction and returns its "
        "rows. The account that runs it may only what this action was granted; `list_tables` says what that is. "
        "Rows and bytes are bounded, and `cut` says whether there was more: ask for what you need with WHERE, "
        "ORDER BY and LIMIT.",
        _STATEMENT,
        reads=True,
    ),
    sql_tool(
        "execute",
        "Change MariaDB",
        "Runs one INSERT, UPDATE, DELETE or REPLACE in a transaction of its own, which is committed when it "
        "succeeds, and returns how many rows it changed and the rows of RETURNING. Where it would change more "
        "rows than were granted, nothing is changed.",
        _STATEMENT,
        reads=False,
    ),
    LIST_TABLES,
)
