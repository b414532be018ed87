"""List the rights of a model scope, narrow it, and derive the rights that a request used from its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.lease.listed_rights import ListedRights
from answerable.core.lease.use import Right, Used

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope

TOOLS: Final = "tools"


class ModelRights:
    """Implements ports.target_rights.TargetRights: one right per model, and one to offer tools to models."""

    def __init__(self) -> None:
        self._models = ListedRights(
            members={"models": lambda item: f"ask {item}"},
            uses=lambda _, item, __, arguments: arguments.get("model") == item,
        )

    def rights(self, grants: JSONValue) -> tuple[Right, ...]:
        found = self._models.rights(grants)
        is_let = isinstance(grants, dict) and grants.get(TOOLS, True) is True
        return (*found, Right(TOOLS, "tell models of tools")) if is_let and found else found

    def narrowed(self, grants: JSONValue, kept: Collection[str]) -> JSONValue:
        left = self._models.narrowed(grants, kept)
        if isinstance(left, dict) and left.get(TOOLS, True) is True and TOOLS not in kept:
            return {**left, TOOLS: False}
        return left

    def used(
        self, scope: Scope, tool: str, arguments: Mapping[str, JSONValue], told: JSONValue
    ) -> Used | None:
        """Return the rights that a call used. Listing models uses none."""
        if tool == "list_models":
            return Used(frozenset())
        found = self._models.used(scope, tool, arguments, told)
        if found is None or not found.sure:
            return None
        return Used(found.sure | {TOOLS}) if arguments.get(TOOLS) else found
