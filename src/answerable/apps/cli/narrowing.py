"""Parse the narrower arguments that an approver proposes on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.canonical import encode
from answerable.errors import shown
from answerable.errors.codes.services import CLI_NARROWER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from answerable.api.approval_answers import Approval
    from answerable.core.canonical import JSONValue


def proposed_changes(approval: Approval, numbers: Sequence[str], kept: Sequence[str]) -> str:
    """Return the new values by argument, as canonical JSON. numbers: `NAME=NUMBER`. kept: `NAME=ITEM`, list items that
    stay.

    The server judges whether the proposal is narrower; this function only parses it. Raises Malformed (`cli.narrower`).
    """
    offered = {one.name: one.value for one in approval.narrowable}
    changes: dict[str, JSONValue] = {}
    for text in numbers:
        name, value = _pair(text, offered)
        if not value.isascii() or not value.isdigit() or not isinstance(offered[name], int):
            raise CLI_NARROWER(
                f"{shown(text)}: expected NAME=NUMBER with a whole number, for an argument that is a number"
            )
        changes[name] = int(value)
    wanted: dict[str, list[str]] = {}
    for text in kept:
        name, value = _pair(text, offered)
        items = offered[name]
        if isinstance(items, int) or value not in items:
            raise CLI_NARROWER(f"{shown(text)}: the list has no such item")
        wanted.setdefault(name, []).append(value)
    for name, kept_items in wanted.items():
        offer = offered[name]
        changes[name] = [one for one in offer if one in kept_items] if isinstance(offer, tuple) else []
    if not changes:
        raise CLI_NARROWER("give a smaller value: `--set NAME=NUMBER`, or `--keep NAME=ITEM` for a list")
    return encode(changes).decode()


def _pair(text: str, offered: Mapping[str, object]) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or name not in offered:
        have = ", ".join(map(shown, offered)) or "no argument of this action"
        raise CLI_NARROWER(f"{shown(text)}: not an argument that can be narrowed; those are {have}")
    return name, value
