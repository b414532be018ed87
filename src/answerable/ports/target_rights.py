"""Port: what the grants of one kind of target come to, right by right, and what of them an action used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope
    from answerable.core.lease.use import Right, Used


class TargetRights(Protocol):
    """Promises: no I/O; the same answer to the same question. A template of grants and every scope that is filled from
    it have the same rights at the same places. What is not understood has no rights, and is not made smaller."""

    def rights(self, grants: JSONValue) -> tuple[Right, ...]:
        """Every right that can be taken out by itself, in the order in which they are granted, each at a place of its
        own; and those of which nobody tells, which stay as long as what they belong to."""
        ...

    def narrowed(self, grants: JSONValue, kept: Collection[str]) -> JSONValue:
        """The grants with the rights at these places, and without the others of which is told; what nobody asks about
        stays as it is. They grant nothing that the grants did not. None where nothing would be left."""
        ...

    def used(
        self, scope: Scope, tool: str, arguments: Mapping[str, JSONValue], told: JSONValue
    ) -> Used | None:
        """What a tool call that succeeded needed of its scope, or more, never less: with the rights at these places
        alone it would have succeeded as well. None where that cannot be told. told: what the session said of it
        (`Performed.told`)."""
        ...
