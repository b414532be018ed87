"""Rights of database grants: verbs on tables, and their columns.

Laws: a table is removed with its last verb; the use of columns cannot be observed, so they stay as long as their table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.lease.use import Right

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from answerable.core.canonical import JSONValue

VERBS: Final = ("select", "insert", "update", "delete")


def table_rights(grants: JSONValue) -> tuple[Right, ...]:
    """Return the verbs on tables, each table followed by its columns; empty where one is no object."""
    found: list[Right] = []
    for number, table in listed(grants, "tables"):
        if not isinstance(table, dict):
            return ()
        name, where = said_name(table.get("name")), _where(table.get("rows"))
        found += [Right(f"tables/{number}/{verb}", f"{verb} on {name}{where}") for verb in verbs_of(table)]
        found += [
            Right(f"tables/{number}/columns/{place}", f"column {column} of {name}", is_told=False)
            for place, column in listed(table, "columns")
        ]
    return tuple(found)


def narrowed_tables(grants: JSONValue, kept: Collection[str]) -> list[JSONValue]:
    """Return the tables reduced to the verbs at these places."""
    tables: list[JSONValue] = []
    for number, table in listed(grants, "tables"):
        if not isinstance(table, dict):
            return []
        verbs: list[JSONValue] = [verb for verb in verbs_of(table) if f"tables/{number}/{verb}" in kept]
        if verbs:
            # Deleting removes whole rows, so a grant of it alone names no columns.
            left = {name: one for name, one in table.items() if name != "columns" or verbs != ["delete"]}
            tables.append({**left, "verbs": verbs})
    return tables


def listed(value: JSONValue, member: str) -> Iterator[tuple[int, JSONValue]]:
    """Yield the items of a member list, with their places; nothing where it is no list."""
    found = value.get(member) if isinstance(value, dict) else None
    return iter(enumerate(found if isinstance(found, list) else []))


def verbs_of(table: dict[str, JSONValue]) -> list[str]:
    """Return the verbs of one table, in the order of VERBS."""
    given = table.get("verbs")
    return [verb for verb in VERBS if isinstance(given, list) and verb in given]


def said_name(name: JSONValue) -> str:
    """Return a name, or its parts, as one text."""
    return ".".join(map(str, name)) if isinstance(name, list) else str(name)


def _where(rows: JSONValue) -> str:
    return f" where {rows.get('column')} = {rows.get('equals')}" if isinstance(rows, dict) else ""
