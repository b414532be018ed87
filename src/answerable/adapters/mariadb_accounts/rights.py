"""Which rights a scope on MariaDB has. What a statement used of them nobody tells: the server does not say which tables
one touched (the plugin that does, `METADATA_LOCK_INFO`, is not loaded unless somebody asks for it), and we read no SQL.
"""

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
        """As the port says: it cannot be told, but for a look at what was granted."""
        return Used(frozenset()) if tool == "list_tables" else None
