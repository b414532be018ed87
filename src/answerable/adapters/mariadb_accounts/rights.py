"""List the rights of a MariaDB scope and narrow it. Which rights a statement used is unknown: the server does not
report the tables of a statement (the plugin that does, `METADATA_LOCK_INFO`, is not loaded by default), and we do not
parse SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.lease.table_rights import narrowed_tables, table_rights
from answerable.core.lease.use import RIGHTS_MAX, Right, Used

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope


class MariadbRights:
    """Implements ports.target_rights.TargetRights."""

    def rights(self, grants: JSONValue) -> tuple[Right, ...]:
        found = table_rights(grants)
        return found if len(found) <= RIGHTS_MAX else ()

    def narrowed(self, grants: JSONValue, kept: Collection[str]) -> JSONValue:
        tables = narrowed_tables(grants, kept)
        return {**grants, "tables": tables} if isinstance(grants, dict) and tables else None

    def used(
        self, scope: Scope, tool: str, arguments: Mapping[str, JSONValue], told: JSONValue
    ) -> Used | None:
        """Return the rights that a call used: none for `list_tables`, unknown (None) for all other tools."""
        return Used(frozenset()) if tool == "list_tables" else None
