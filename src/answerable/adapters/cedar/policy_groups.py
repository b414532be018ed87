"""Run Cedar on a few policies at a time. cedarpy holds the interpreter lock while it works: 10,000 policies at once
would block every action of this process for a second; a group blocks for a few milliseconds.

Law: the combined result of the groups equals the result of the whole text; if Cedar finds another number of policies
than the text was split into, the whole text is processed at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cedarpy
import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.registry.policy_sets.policy_text import Statement

GROUP_POLICIES: Final = 25
"""About 2 ms of Cedar's time."""
_POSITION: Final = "policy"


class ParsedPolicies(msgspec.Struct, rename={"static": "staticPolicies"}):
    """The JSON form that cedarpy makes of a policy text. Its ids are positions: `policy0` is the first policy."""

    templates: dict[str, object] = {}
    static: dict[str, dict[str, object]] = {}


class UnevenGroupsError(Exception):
    """Cedar finds another number of policies than the text was split into."""


def parsed_policies(
    text: str, pieces: tuple[Statement, ...], *, whole: bool = False
) -> Iterator[tuple[str, dict[str, object] | None]]:
    """Yield every policy by its position; None for a template. pieces: the text, split into policies. whole: process
    the text at once.

    Yields one policy at a time: all of them together are a million objects, and the garbage collector would scan them
    while the process waits. Raises ValueError, RecursionError, and UnevenGroupsError unless `whole`.
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
    """Yield position and message of each validation fault. count: policies in the text. Raises ValueError for an
    invalid schema."""
    handle = cedarpy.Schema.from_json_str(schema)
    groups = _groups(text, pieces) if count == len(pieces) else [(0, text)]
    for first, group in groups:
        for error in cedarpy.validate_policies(group, handle).errors:
            yield _moved(error.policy_id, first), error.error


def _groups(text: str, pieces: tuple[Statement, ...]) -> list[tuple[int, str]]:
    """Return the text of each group with the number of its first policy."""
    if len(pieces) <= GROUP_POLICIES:
        return [(0, text)]
    return [
        (first, "".join(piece.text for piece in pieces[first : first + GROUP_POLICIES]))
        for first in range(0, len(pieces), GROUP_POLICIES)
    ]


def _moved(position: str, first: int) -> str:
    return f"{_POSITION}{int(position.removeprefix(_POSITION)) + first}" if first else position
