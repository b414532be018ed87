"""Port: the individual rights that the grants of one kind of target give, and which of them an action used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope
    from answerable.core.lease.use import Right, Used


class TargetRights(Protocol):
    """Promises: no I/O; deterministic. A template of grants and every scope filled from it have the same rights at the
    same places. Grants that are not understood have no rights, and are not narrowed."""

    def rights(self, grants: JSONValue) -> tuple[Right, ...]:
        """Return every right that can be removed separately, in the order of the grants, each at a place of its own;
        and the rights whose use cannot be observed, which stay as long as the grant they belong to."""
        ...

    def narrowed(self, grants: JSONValue, kept: Collection[str]) -> JSONValue:
        """Return the grants with the rights at the places `kept`, and without the other observable rights; unobservable
        rights stay. The result never grants more than the input. None where nothing would be left."""
        ...

    def used(
        self, scope: Scope, tool: str, arguments: Mapping[str, JSONValue], told: JSONValue
    ) -> Used | None:
        """Return the rights of its scope that a successful tool call needed, or more, never fewer: the call would have
        succeeded with those rights alone. None where that cannot be determined. told: what the session reported of the
        call (`Performed.told`)."""
        ...
