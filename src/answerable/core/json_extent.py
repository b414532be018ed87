"""How much a JSON text holds, told before it is parsed: what would cost too much is refused at the price of a search.

Law: a text that is let through has, if it is JSON, no more members and items than it may have, and one that is refused
has more, or is no JSON; an empty object or array counts as one more. No byte is looked at in Python.
"""

from __future__ import annotations

from answerable.errors.codes.documents import JSON_NODES


def check_extent(data: bytes, nodes_max: int) -> None:
    """Raises Malformed (`json.nodes`) for a text with more members and items in all."""
    if len(data) > nodes_max and _marks(data) > nodes_max and _holds_more(data, nodes_max):
        raise JSON_NODES(f"json of more than {nodes_max} members and items in all: send less at a time")


def _holds_more(data: bytes, nodes_max: int) -> bool:
    # What stands in strings does not count: without escapes these are every second piece between quotes.
    plain = data.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in data else data
    # A member is two strings at most, each with two quotes; a text may be one string, too.
    if plain.count(b'"') > 4 * nodes_max + 2:
        return True
    return _marks(b"".join(plain.split(b'"')[::2])) > nodes_max


def _marks(data: bytes) -> int:
    """Each node but the first of its container has a comma before it, and each container has a bracket."""
    return data.count(b",") + data.count(b"[") + data.count(b"{")
