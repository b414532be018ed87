"""Find names of tools that a person or a model could take for one another."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

COMPARED_MAX: Final = 5_000
SLIP_CHARS_MIN: Final = 5
"""Minimum length for the comparison: shorter names differ by one character too often."""
TOLD_MAX: Final = 10

_SEPARATORS: Final = re.compile(r"[^a-z0-9]+")
_LOOKS: Final = (("0", "o"), ("1", "l"), ("|", "l"), ("rn", "m"), ("vv", "w"), ("5", "s"), ("i", "l"))


def look_alikes(name: str, *, server: str, neighbours: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return a sentence for each tool that this one could be taken for. neighbours: server and name. Never raises."""
    told: list[str] = []
    own = _seen(name)
    for other_server, other in sorted(set(neighbours))[:COMPARED_MAX]:
        if (other_server, other) == (server, name):
            continue
        whose = f"of server {shown(other_server)}" if other_server != server else "of the same server"
        if other == name:
            told.append(f"server {shown(other_server)} has a tool of the same name")
        elif _seen(other) == own:
            told.append(f"its name can be taken for {shown(other)} {whose}")
        elif len(name) >= SLIP_CHARS_MIN and _is_slip(name.lower(), other.lower()):
            told.append(f"its name is one slip away from {shown(other)} {whose}")
    return tuple(told[:TOLD_MAX])


def _seen(name: str) -> str:
    """Reduce a name to what a reader perceives at a glance."""
    text = name.casefold()
    for sign, like in _LOOKS:
        text = text.replace(sign, like)
    return _SEPARATORS.sub("", text) or text


def _is_slip(one: str, other: str) -> bool:
    """Whether the two differ by one character added, removed or changed, or by two neighbours swapped."""
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1:
        return False
    start = 0
    while start < len(short) and short[start] == long[start]:
        start += 1
    if len(long) > len(short):
        return short[start:] == long[start + 1 :]
    rest, other_rest = short[start:], long[start:]
    return rest[1:] == other_rest[1:] or (rest[2:] == other_rest[2:] and rest[:2] == other_rest[:2][::-1])
