"""Define the MCP tools of a PostgreSQL target, and check the arguments of their calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from answerable.adapters.postgres_roles.values import PARAMETERS_MAX
from answerable.errors import Refused, shown
from answerable.errors.codes.leases import TARGET_ARGUMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

SQL_CHARS_MAX: Final = 100_000

_SQL: Final[JSONValue] = {
    "type": "string",
    "minLength": 1,
    "maxLength": SQL_CHARS_MAX,
    "description": "One statement. Values go into parameters, as $1, $2 …, never into the text.",
}
_PARAMETERS: Final[JSONValue] = {
    "type": "array",
    "maxItems": PARAMETERS_MAX,
    "items": {"type": ["string", "number", "boolean", "null", "array", "object"]},
    "description": "The values of $1, $2 … in order. Dates and times as ISO 8601, bytes as hexadecimal.",
}


def _tool(name: str, title: str, says: str, properties: dict[str, JSONValue], *, reads: bool) -> JSONValue:
    required: list[JSONValue] = ["sql"] if "sql" in properties else []
    return {
        "name": name,
        "title": title,
        "description": says,
        "inputSchema": {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        },
        "annotations": {
            "title": title,
            "readOnlyHint": reads,
            "destructiveHint": not reads,
            "idempotentHint": reads,
            "openWorldHint": False,
        },
    }


TOOLS: Final = cast(
    "tuple[Mapping[str, JSONValue], ...]",
    (
        _tool(
            "query",
            "Query PostgreSQL",
            "Runs one SELECT (or VALUES, TABLE, SHOW, EXPLAIN) in a read-only transaction and returns its rows. The "
            "role that runs it sees only what this action was granted; `list_tables` says what that is. Rows and "
            "bytes are bounded, and `cut` says whether there was more: ask for what you need with WHERE, ORDER BY "
            "and LIMIT.",
            {"sql": _SQL, "parameters": _PARAMETERS},
            reads=True,
        ),
        _tool(
            "execute",
            "Change PostgreSQL",
            "Runs one INSERT, UPDATE or DELETE in a transaction of its own, which is committed when it succeeds, and "
            "returns how many rows it changed and the rows of RETURNING. Where it would change more rows than were "
            "granted, nothing is changed.",
            {"sql": _SQL, "parameters": _PARAMETERS},
            reads=False,
        ),
        _tool(
            "explain",
            "Explain a statement",
            "Says what one SELECT, INSERT, UPDATE, DELETE or MERGE would touch: tables, and rows as the server's "
            "planner estimates them. Nothing is run and nothing is changed; what triggers and cascades would do beside "
            "is not in it.",
            {"sql": _SQL, "parameters": _PARAMETERS},
            reads=True,
        ),
        _tool(
            "list_tables",
            "List granted tables",
            "Lists the tables that this action may use, with the columns, their types and what may be done with each.",
            {},
            reads=True,
        ),
    ),
)


def asked(tool: str, arguments: Mapping[str, JSONValue]) -> tuple[str, list[JSONValue]]:
    """Return the statement and parameters of a call. Raises Refused (`target.arguments`): nothing was sent."""
    known = {str(one["name"]): one["inputSchema"] for one in TOOLS}
    if tool not in known:
        raise refused(f"there is no tool {shown(tool, 40)}: use {', '.join(sorted(known))}")
    properties = cast("dict[str, dict[str, JSONValue]]", known[tool])["properties"]
    for name in arguments:
        if name not in properties:
            raise refused(f"unknown argument {shown(name, 40)} of tool {shown(tool)}")
    if "sql" not in properties:
        return "", []
    sql, parameters = arguments.get("sql"), arguments.get("parameters", [])
    if not isinstance(sql, str) or not sql.strip() or len(sql) > SQL_CHARS_MAX or "\0" in sql:
        raise refused(f"`sql` must be one statement of 1 to {SQL_CHARS_MAX:,} characters, without NUL")
    if not isinstance(parameters, list) or len(parameters) > PARAMETERS_MAX:
        raise refused(f"`parameters` must be a list of at most {PARAMETERS_MAX} values")
    return sql, parameters


def refused(wrong: str) -> Refused:
    """Return the fault for invalid arguments; nothing was done."""
    return TARGET_ARGUMENTS(wrong)
