"""Refuse member names that are reserved in the JSON that policies are evaluated on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.errors.codes.action import ARGUMENTS_RESERVED_MEMBER

if TYPE_CHECKING:
    from answerable.core.canonical import FrozenJSON, JSONValue

RESERVED_PREFIX: Final = b'"__e'
"""In the text of every value with a reserved member."""
RESERVED_MEMBERS: Final = frozenset({"__entity", "__extn", "__expr"})


def refuse_reserved(frozen: FrozenJSON) -> None:
    """Refuse reserved member names. Cedar's context JSON gives them a meaning, so a caller must never be able to write
    them.

    Raises Malformed (`arguments.reserved_member`).
    """
    pending: list[JSONValue] = [frozen.thaw()]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            for name in value:
                if name in RESERVED_MEMBERS:
                    raise ARGUMENTS_RESERVED_MEMBER(f"member name {shown(name)} is reserved")
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
