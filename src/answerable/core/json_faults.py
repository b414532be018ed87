"""Find and describe the first fault of a JSON value or text that `canonical` refused. Nothing here runs on valid input.

Laws: a fault is named by its place, and never by the content; the search visits at most `NODES_MAX` nodes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from answerable.errors import Malformed, MalformedCode, shown
from answerable.errors.codes import documents as codes

INTEGER_MAX: Final = 2**53 - 1
NODES_MAX: Final = 1_000_000
_NAME_CHARS_SHOWN: Final = 40
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_OFFSET: Final = re.compile(r"\s*\(byte (\d+)\)")


class _Pairs(list[tuple[str, object]]):
    """The members of one object as written, duplicates included."""


# A place in a value: the place of the container and the name or index in it. Converted to a pointer only for the one
# place at fault, because a hostile text can hold half a million places, each with a pointer of kilobytes.
Place: TypeAlias = "tuple[Place, object] | None"


def duplicate(data: bytes) -> Place:
    """The place of a member name given twice in a valid text, or None."""
    open_nodes: list[tuple[Place, object]] = [(None, json.loads(data.decode(), object_pairs_hook=_Pairs))]
    while open_nodes:
        place, node = open_nodes.pop()
        if isinstance(node, _Pairs):
            seen: set[str] = set()
            for name, member in node:
                if name in seen:
                    return place, name
                seen.add(name)
                if isinstance(member, list):
                    open_nodes.append(((place, name), member))
        elif isinstance(node, list):
            open_nodes.extend(((place, i), item) for i, item in enumerate(node) if isinstance(item, list))
    return None


def nodes(value: object) -> Iterator[tuple[Place, int, object]]:
    """Yield place, depth and node of everything in a value, level by level; end early past `NODES_MAX`."""
    yield None, 0, value
    count, depth = 1, 0
    level: list[tuple[Place, object]] = [(None, value)]
    while level:
        below: list[tuple[Place, object]] = []
        depth += 1
        for place, node in level:
            inside: Iterable[tuple[object, object]] = ()
            if type(node) is dict:
                count += len(node)
                inside = node.items()
            elif type(node) is list:
                count += len(node)
                inside = enumerate(node)
            if count > NODES_MAX:
                return
            for name, member in inside:
                here = (place, name)
                yield here, depth, member
                if type(member) is dict or type(member) is list:
                    below.append((here, member))
        level = below


def first_fault(value: object, depth_max: int) -> Malformed:
    """Describe the first fault of a value that `_survey` or an encoder refused."""
    for place, depth, node in nodes(value):
        if type(node) is dict or type(node) is list:
            if depth >= depth_max:
                return fault(f"nested deeper than {depth_max} levels", place, code=codes.JSON_DEPTH)
            for name in node if type(node) is dict else ():
                if type(name) is not str:
                    kind = shown(type(name).__name__)
                    return fault(
                        f"member name of type {kind}, expected text", place, code=codes.JSON_NAME_TYPE
                    )
                if _has_surrogate(name):
                    return fault("lone surrogate in a member name", place, code=codes.JSON_SURROGATE)
        elif type(node) is str:
            if _has_surrogate(node):
                return fault("lone surrogate in text", place, code=codes.JSON_SURROGATE)
        elif type(node) is int:
            if abs(node) > INTEGER_MAX:
                return fault("integer beyond 2**53 - 1", place, code=codes.JSON_INTEGER_RANGE)
        elif type(node) is float:
            if not math.isfinite(node):
                return fault("number is not finite", place, code=codes.JSON_NOT_FINITE)
            if node.is_integer() and INTEGER_MAX < abs(node) < 1e21:
                return fault("integral number beyond 2**53 - 1", place, code=codes.JSON_INTEGER_RANGE)
        elif node is not None and type(node) is not bool:
            return fault(f"{shown(type(node).__name__)} is not a json type", place, code=codes.JSON_TYPE)
    return codes.JSON_NODES(f"json value of more than {NODES_MAX} nodes")


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def fault(what: str, place: Place, *, code: MalformedCode) -> Malformed:
    """Return the error about what is at a place."""
    names: list[str] = []
    while place is not None:
        place, name = place
        text = str(name) if isinstance(name, str | int) else type(name).__name__
        names.append(text[:_NAME_CHARS_SHOWN].replace("~", "~0").replace("/", "~1"))
    pointer = "".join(f"/{name}" for name in reversed(names))
    return code(f"{what}: at {shown(pointer) if pointer else 'the top'}")


def syntax_fault(data: bytes, error: Exception) -> Malformed:
    """Describe the fault of a text that did not parse. Runs only on faulty input."""
    if data.startswith(_BYTE_ORDER_MARK):
        return codes.JSON_BYTE_ORDER_MARK()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error_at:
        return codes.JSON_UTF8(f"json text is not utf-8: at byte {error_at.start}")
    told = str(error)
    found = _OFFSET.search(told)
    detail = _OFFSET.sub("", told).removeprefix("JSON is malformed: ").lower()
    where = f": at byte {found[1]}" if found else ""
    if detail.startswith("integer value out of range"):
        return codes.JSON_INTEGER_RANGE("integer beyond 2**53 - 1")
    if detail.startswith("number out of range"):
        return codes.JSON_NUMBER_RANGE()
    if "trailing characters" in detail:
        return codes.JSON_TRAILING(f"something follows the json value{where}")
    if found and data.startswith((b"NaN", b"Infinity"), int(found[1])):
        return codes.JSON_NOT_FINITE(f"number is not finite{where}")
    if _escapes_lone_surrogate(text):
        return codes.JSON_SURROGATE(f"lone surrogate in text{where}")
    return codes.JSON_SYNTAX(f"not json: {detail}{where}")


def _escapes_lone_surrogate(text: str) -> bool:
    """Whether a refused text is valid except for a lone surrogate, which the standard parser accepts."""
    try:
        return any(
            _has_surrogate(node if isinstance(node, str) else "".join(node))
            for _, _, node in nodes(json.loads(text))
            if isinstance(node, str | dict)
        )
    except (ValueError, RecursionError):
        return False
