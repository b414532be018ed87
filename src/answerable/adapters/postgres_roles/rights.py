"""Which rights a scope on PostgreSQL has, and which of them a statement used: told by the server's own locks.

A statement locks every relation that it touches, from its analysis to the end of its transaction, also those that a
view, a function, a trigger or a row policy touches, and in a mode that says for what. So what has no lock was not used.
The locks do not say which columns were used, nor which of inserting, updating and deleting it was where one lock stands
for them all: of columns nothing is told, and of verbs more is told than was used, never less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.lease.table_rights import (
    VERBS,
    listed,
    narrowed_tables,
    said_name,
    table_rights,
    verbs_of,
)
from answerable.core.lease.use import RIGHTS_MAX, Right, Used

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope

_READ: Final = "AccessShareLock"
_READ_TO_WRITE: Final = "RowShareLock"
_WRITE: Final = "RowExclusiveLock"
_ONE_VERB: Final = frozenset({"insert", "update", "delete"})


class PostgresRights:
    """Implements ports.target_rights.TargetRights."""

    def rights(self, grants: JSONValue) -> tuple[Right, ...]:
        """As the port says: verbs on tables, columns (which nobody tells of), sequences."""
        sequences = [
            Right(f"sequences/{number}", f"use sequence {said_name(one)}")
            for number, one in listed(grants, "sequences")
        ]
        found = (*table_rights(grants), *sequences)
        return found if len(found) <= RIGHTS_MAX else ()

    def narrowed(self, grants: JSONValue, kept: Collection[str]) -> JSONValue:
        """As the port says. There is no grant of sequences alone."""
        tables = narrowed_tables(grants, kept)
        if not isinstance(grants, dict) or not tables:
            return None
        sequences = [one for number, one in listed(grants, "sequences") if f"sequences/{number}" in kept]
        made: dict[str, JSONValue] = {**grants, "tables": tables, "sequences": sequences}
        if not sequences:
            del made["sequences"]
        return made

    def used(
        self, scope: Scope, tool: str, arguments: Mapping[str, JSONValue], told: JSONValue
    ) -> Used | None:
        if tool == "list_tables":
            return Used(frozenset())
        locks = _locks(told)
        sql = arguments.get("sql")
        if locks is None or not isinstance(told, dict) or not isinstance(sql, str):
            return None
        grants, verb = scope.thaw(), str(told.get("verb"))
        written = [name for name, modes in locks.items() if modes - {_READ, _READ_TO_WRITE}]
        is_plain = verb in _ONE_VERB and len(written) == 1 and told.get("more") is False and tool == "execute"
        sure: set[str] = set()
        unsure: set[str] = set()
        for number, table in listed(grants, "tables"):
            if not isinstance(table, dict) or (modes := locks.get(_pair(table.get("name")))) is None:
                continue
            surely, maybe = _used_of(modes, verb if is_plain else "", sql.lower())
            granted = set(verbs_of(table))
            sure |= {f"tables/{number}/{one}" for one in surely & granted}
            unsure |= {f"tables/{number}/{one}" for one in maybe & granted}
        for number, one in listed(grants, "sequences"):
            if _pair(one) in locks:
                unsure.add(f"sequences/{number}")
        return Used(frozenset(sure), frozenset(unsure - sure))


def _used_of(modes: set[str], verb: str, sql: str) -> tuple[set[str], set[str]]:
    """Verbs that were used on a table surely, and perhaps. verb: the one by which it was written to, if there is but
    one; empty where that is not known. sql: in lower case; a clause whose word is nowhere in it is not there."""
    if modes - {_READ, _READ_TO_WRITE, _WRITE}:
        return set(), set(VERBS)
    surely: set[str] = set()
    perhaps: set[str] = set()
    if _READ in modes:
        surely.add("select")
    if _READ_TO_WRITE in modes:
        # FOR UPDATE, or a foreign key that was looked up, for which nobody needs a right.
        perhaps |= {"select", "update"}
    if _WRITE in modes and not verb:
        perhaps |= set(VERBS)
    elif _WRITE in modes:
        surely.add(verb)
        if verb != "insert" or "returning" in sql or "conflict" in sql:
            perhaps.add("select")
        if "conflict" in sql:
            perhaps.add("update")
    return surely, perhaps


def _locks(told: JSONValue) -> dict[tuple[str, str], set[str]] | None:
    """By schema and name, the modes; None where the session did not tell."""
    said = told.get("locked") if isinstance(told, dict) else None
    if not isinstance(said, list):
        return None
    found: dict[tuple[str, str], set[str]] = {}
    for one in said:
        if not isinstance(one, dict):
            return None
        # A sequence is written to by whoever takes a number, and is no table.
        mode = _READ if one.get("kind") == "sequence" else str(one.get("mode"))
        found.setdefault((str(one.get("schema")), str(one.get("name"))), set()).add(mode)
    return found


def _pair(name: JSONValue) -> tuple[str, str]:
    parts = name.split(".") if isinstance(name, str) else name
    return (str(parts[0]), str(parts[1])) if isinstance(parts, list) and len(parts) == 2 else ("", "")
