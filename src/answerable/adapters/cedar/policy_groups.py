"""Cedar at work on a few policies at a time. It holds the interpreter while it works, so that a set of ten thousand
taken at once would keep every action of this process waiting for a second; of a group it is a few milliseconds.

Law: what comes of the groups is what comes of the whole text; where their number is not what the text was split into,
the whole is taken at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cedarpy
import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.registry.policy_sets.policy_text import Statement

GROUP_POLICIES: Final = 25
"""Some 2 ms of Cedar's."""
_POSITION: Final = "policy"


class ParsedPolicies(msgspec.Struct, rename={"static": "staticPolicies"}):
    """What cedarpy makes of a policy text, ids still positional: `policy0` is the first."""

    templates: dict[str, object] = {}
    static: dict[str, dict[str, object]] = {}


class UnevenGroupsError(Exception):
    """The text was split into another number of policies than Cedar finds in it."""


def parsed_policies(
    text: str, pieces: tuple[Statement, ...], *, whole: bool = False
) -> Iterator[tuple[str, dict[str, object] | None]]:
    """Every policy by its position; None for a template. pieces: the text, split. whole: take it all at once.

    One after the other, for all of them together are a million objects that the garbage collector would look through
    while everybody waits. Raises ValueError, RecursionError, and UnevenGroupsError unless `whole`.
    """
    for first, group in [(0, text)] if whole else _groups(text, pieces):
        found = msgspec.json.decode(cedarpy.policies_to_json_str(group), type=ParsedPolicies)
        meant = len(pieces[first : first + GROUP_POLICIES])
        if not whole and len(found.static) + len(found.templates) != meant:
            raise UnevenGroupsError
        for position in found.templates:
            yield _moved(position, first), None
        for position, ast in found.static.items():
            yield _moved(position, first), ast


def validation_errors(
    text: str, pieces: tuple[Statement, ...], count: int, schema: str
) -> Iterator[tuple[str, str]]:
    """Position and message of each fault. count: policies in the text. Raises ValueError for the schema."""
    handle = cedarpy.Schema.from_json_str(schema)
    groups = _groups(text, pieces) if count == len(pieces) else [(0, text)]
    for first, group in groups:
        for error in cedarpy.validate_policies(group, handle).errors:
            yield _moved(error.policy_id, first), error.error


def _groups(text: str, pieces: tuple[Statement, ...]) -> list[tuple[int, str]]:
    """Number of the first policy of each group, and its text."""
    if len(pieces) <= GROUP_POLICIES:
        return [(0, text)]
    return [
        (first, "".join(piece.text for piece in pieces[first : first + GROUP_POLICIES]))
        for first in range(0, len(pieces), GROUP_POLICIES)
    ]


def _moved(position: str, first: int) -> str:
    return f"{_POSITION}{int(position.removeprefix(_POSITION)) + first}" if first else position
