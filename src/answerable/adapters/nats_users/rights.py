"""List the rights of a NATS scope, narrow it, and derive the rights that a message used from its subject.

Permission to publish and to request on a subject is the same permission at the server. An answer can be received only
if some subject is granted in `request`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.lease.listed_rights import ListedRights
from answerable.core.lease.table_rights import listed
from answerable.core.lease.use import Used

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope
    from answerable.core.lease.use import Right


class NatsRights:
    """Implements ports.target_rights.TargetRights."""

    def __init__(self) -> None:
        self._listed = ListedRights(
            members={
                "publish": lambda item: f"publish on {_said(item)}",
                "request": lambda item: f"request on {_said(item)}",
            },
            uses=lambda _, item, __, arguments: _matches(item, arguments.get("subject")),
        )

    def rights(self, grants: JSONValue) -> tuple[Right, ...]:
        return self._listed.rights(grants)

    def narrowed(self, grants: JSONValue, kept: Collection[str]) -> JSONValue:
        return self._listed.narrowed(grants, kept)

    def used(
        self, scope: Scope, tool: str, arguments: Mapping[str, JSONValue], told: JSONValue
    ) -> Used | None:
        found = self._listed.used(scope, tool, arguments, told)
        if found is None or not found.sure:
            return None
        asked = {f"request/{number}" for number, _ in listed(scope.thaw(), "request")}
        hears = asked if tool == "request" and not found.sure & asked else set()
        return Used(found.sure, frozenset(hears))


def _matches(item: JSONValue, subject: JSONValue) -> bool:
    if not isinstance(item, list) or not isinstance(subject, str):
        return False
    tokens = subject.split(".")
    for place, one in enumerate(item):
        if one == {"any": "rest"}:
            return len(tokens) > place
        if place >= len(tokens) or (isinstance(one, str) and one != tokens[place]):
            return False
    return len(tokens) == len(item)


def _said(item: JSONValue) -> str:
    wild = {"token": "*", "rest": ">"}
    return ".".join(
        one if isinstance(one, str) else wild.get(str(one.get("any")), "?") if isinstance(one, dict) else "?"
        for one in (item if isinstance(item, list) else ())
    )
