"""Rights of grants whose members are flat lists: each list item is one right.

Laws: removing an item removes nothing else; a list that would be empty is left out; where no list is left, there are no
grants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.core.lease.use import RIGHTS_MAX, Right, Used

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope

    Uses = Callable[[str, JSONValue, str, Mapping[str, JSONValue]], bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRights:
    """Implements ports.target_rights.TargetRights. members: name of a list in the grants, and a function that describes
    one item. uses: whether a call (list, item, tool, arguments) used an item; None where that cannot be determined."""

    members: Mapping[str, Callable[[JSONValue], str]]
    uses: Uses

    def rights(self, grants: JSONValue) -> tuple[Right, ...]:
        found = tuple(
            Right(f"{member}/{number}", say(item))
            for member, say in self.members.items()
            for number, item in enumerate(_items(grants, member))
        )
        return found if len(found) <= RIGHTS_MAX else ()

    def narrowed(self, grants: JSONValue, kept: Collection[str]) -> JSONValue:
        if not isinstance(grants, dict):
            return None
        made, is_left = dict(grants), False
        for member in self.members:
            items = _items(grants, member)
            left = [item for number, item in enumerate(items) if f"{member}/{number}" in kept]
            is_left = is_left or bool(left)
            if left:
                made[member] = left
            elif items:
                del made[member]
        return made if is_left else None

    def used(
        self, scope: Scope, tool: str, arguments: Mapping[str, JSONValue], told: JSONValue
    ) -> Used | None:
        found: set[str] = set()
        grants = scope.thaw()
        for member in self.members:
            for number, item in enumerate(_items(grants, member)):
                is_used = self.uses(member, item, tool, arguments)
                if is_used is None:
                    return None
                if is_used:
                    found.add(f"{member}/{number}")
        return Used(frozenset(found))


def _items(grants: JSONValue, member: str) -> list[JSONValue]:
    found = grants.get(member) if isinstance(grants, dict) else None
    return found if isinstance(found, list) else []
