"""Bound the number of nodes in a JSON text before parsing it, so that a too expensive text is refused at the cost of a
search.

Law: an accepted text has, if it is JSON, at most the permitted number of members and items, and a refused one has more,
or is no JSON; an empty object or array counts as one more. No byte is examined in Python.
"""

from __future__ import annotations

from answerable.errors.codes.documents import JSON_NODES


def check_extent(data: bytes, nodes_max: int) -> None:
    """Raise Malformed (`json.nodes`) for a text with more members and items in total."""
    if len(data) > nodes_max and _marks(data) > nodes_max and _holds_more(data, nodes_max):
        raise JSON_NODES(f"json of more than {nodes_max} members and items in all: send less at a time")


def _holds_more(data: bytes, nodes_max: int) -> bool:
    # The content of strings does not count: without escapes, strings are every second piece between quotes.
    plain = data.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in data else data
    # A member has at most two strings, each with two quotes; a text may also be a single string.
    if plain.count(b'"') > 4 * nodes_max + 2:
        return True
    return _marks(b"".join(plain.split(b'"')[::2])) > nodes_max


def _marks(data: bytes) -> int:
    """Count marks: each node but the first of its container has a comma before it, and each container has a bracket."""
    return data.count(b",") + data.count(b"[") + data.count(b"{")
