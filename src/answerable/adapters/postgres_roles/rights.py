"""List the rights of a scope on PostgreSQL, and derive from the server's locks which of them a statement used.

A statement locks every relation that it touches until the end of its transaction, including those behind a view,
function, trigger or row policy, in a mode that shows the kind of use. So a right on an unlocked relation was not used.
Locks show neither the columns nor, in one mode, which of insert, update and delete was used: columns are not reported,
and of verbs possibly more than were used, never less.
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
        """List the verbs on tables, the columns (whose use is never reported), and the sequences."""
        sequences = [
            Right(f"sequences/{number}", f"use sequence {said_name(one)}")
            for number, one in listed(grants, "sequences")
        ]
        found = (*table_rights(grants), *sequences)
        return found if len(found) <= RIGHTS_MAX else ()

    def narrowed(self, grants: JSONValue, kept: Collection[str]) -> JSONValue:
        """Return the grants reduced to `kept`. A grant of sequences alone does not exist."""
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
    """Return the verbs that were surely and possibly used on a table. verb: the only writing verb, empty if not known.
    sql: in lower case; a clause whose keyword does not occur in it was not used."""
    if modes - {_READ, _READ_TO_WRITE, _WRITE}:
        return set(), set(VERBS)
    surely: set[str] = set()
    perhaps: set[str] = set()
    if _READ in modes:
        surely.add("select")
    if _READ_TO_WRITE in modes:
        # Either FOR UPDATE, or a foreign key lookup, which needs no right.
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
    """Return the lock modes by schema and name; None if the session did not report them."""
    said = told.get("locked") if isinstance(told, dict) else None
    if not isinstance(said, list):
        return None
    found: dict[tuple[str, str], set[str]] = {}
    for one in said:
        if not isinstance(one, dict):
            return None
        # Taking a number from a sequence locks it for writing, but a sequence is no table.
        mode = _READ if one.get("kind") == "sequence" else str(one.get("mode"))
        found.setdefault((str(one.get("schema")), str(one.get("name"))), set()).add(mode)
    return found


def _pair(name: JSONValue) -> tuple[str, str]:
    parts = name.split(".") if isinstance(name, str) else name
    return (str(parts[0]), str(parts[1])) if isinstance(parts, list) and len(parts) == 2 else ("", "")
