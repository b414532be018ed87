"""Represent the only right of a scope on SSH: its command, which every use of the certificate uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.lease.use import Right, Used

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope

COMMAND: Final = "command"


class SSHRights:
    """Implements ports.target_rights.TargetRights."""

    def rights(self, grants: JSONValue) -> tuple[Right, ...]:
        command = grants.get(COMMAND) if isinstance(grants, dict) else None
        if not isinstance(grants, dict) or not isinstance(command, list):
            return ()
        words = " ".join(str(one.get("operand")) if isinstance(one, dict) else str(one) for one in command)
        return (Right(COMMAND, f"run {words} as {grants.get('login')} on {grants.get('host')}"),)

    def narrowed(self, grants: JSONValue, kept: Collection[str]) -> JSONValue:
        return grants if COMMAND in kept else None

    def used(
        self, scope: Scope, tool: str, arguments: Mapping[str, JSONValue], told: JSONValue
    ) -> Used | None:
        return Used(frozenset({COMMAND}))
