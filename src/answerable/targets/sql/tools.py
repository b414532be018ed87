"""The tools of SQL servers: descriptions that they share, and checks of their arguments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

from answerable.errors import Refused, shown
from answerable.errors.codes.leases import TARGET_ARGUMENTS
from answerable.targets.tools import described_tool, hints

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from answerable.core.canonical import JSONValue

SQL_CHARS_MAX: Final = 100_000
PARAMETERS_MAX: Final = 100
_TAG: Final = re.compile(r"[A-Za-z0-9_.:-]{0,63}")


def statement(places: str, values: str) -> dict[str, JSONValue]:
    """Return the arguments of a tool that runs a statement. places: how the statement refers to its parameters.
    values: what the parameters are."""
    return {
        "sql": {
            "type": "string",
            "minLength": 1,
            "maxLength": SQL_CHARS_MAX,
            "description": f"One statement. Values go into parameters, as {places}, never into the text.",
        },
        "parameters": {
            "type": "array",
            "maxItems": PARAMETERS_MAX,
            "items": {"type": ["string", "number", "boolean", "null", "array", "object"]},
            "description": values,
        },
    }


def sql_tool(
    name: str, title: str, says: str, properties: Mapping[str, JSONValue], *, reads: bool
) -> Mapping[str, JSONValue]:
    """Return the description of a tool."""
    needed = ("sql",) if "sql" in properties else ()
    about = {"title": title, **hints(reads=reads, destroys=not reads, repeats=reads)}
    return described_tool(name, title, says, properties, *needed, hints=about)


LIST_TABLES: Final = sql_tool(
    "list_tables",
    "List granted tables",
    "Lists the tables that this action may use, with the columns, their types and what may be done with each.",
    {},
    reads=True,
)


def asked(
    tools: Sequence[Mapping[str, JSONValue]], tool: str, arguments: Mapping[str, JSONValue], tag: str
) -> tuple[str, list[JSONValue]]:
    """Return the statement and parameters of a call. Raises Refused (`target.arguments`): nothing was sent."""
    known = {str(one["name"]): one["inputSchema"] for one in tools}
    if tool not in known:
        raise refused(f"there is no tool {shown(tool, 40)}: use {', '.join(sorted(known))}")
    properties = cast("dict[str, dict[str, JSONValue]]", known[tool])["properties"]
    for name in arguments:
        if name not in properties:
            raise refused(f"unknown argument {shown(name, 40)} of tool {shown(tool)}")
    sql, parameters = arguments.get("sql"), arguments.get("parameters", [])
    if "sql" not in properties:
        sql, parameters = "", []
    elif not isinstance(sql, str) or not sql.strip() or len(sql) > SQL_CHARS_MAX or "\0" in sql:
        raise refused(f"`sql` must be one statement of 1 to {SQL_CHARS_MAX:,} characters, without NUL")
    if not isinstance(parameters, list) or len(parameters) > PARAMETERS_MAX:
        raise refused(f"`parameters` must be a list of at most {PARAMETERS_MAX} values")
    if not _TAG.fullmatch(tag):
        raise refused("the tag has characters that a log line cannot keep apart")
    return sql, parameters


def check_first_word(tool: str, sql: str, word: str, words: Collection[str]) -> None:
    """Check that a statement suits the transaction that its tool opens. word: its first one. This is no security
    boundary: the grants of the lease are. Raises Refused (`target.arguments`)."""
    if word.lower() not in words:
        runs = ", ".join(sorted(words)).upper()
        raise refused(f"{shown(word or sql, 40)} is nothing that `{tool}` runs: it runs one of {runs}")


def refused(wrong: str) -> Refused:
    """Return the fault for invalid arguments; nothing was done."""
    return TARGET_ARGUMENTS(wrong)
