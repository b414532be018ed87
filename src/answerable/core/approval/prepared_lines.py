"""What was prepared, as people read it on a card: each item of a list on a line, with their number and sums.

Laws: a pure function of the action object; every value of the prepared object is on some line, none is cut; sums are
ours, and are only of whole numbers that every item has under one name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from answerable.core.canonical import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from answerable.core.canonical import JSONValue

DEPTH_MAX: Final = 3
"""Lists and objects inside one another that get lines of their own; what is deeper stands as JSON."""


def prepared_lines(value: Mapping[str, JSONValue]) -> Iterator[tuple[str, str]]:
    """Pairs of label and text for the object of an action; none where it executes nothing that was prepared."""
    prepared = value.get("prepared")
    if not isinstance(prepared, dict):
        return
    yield "prepared by", f"{prepared['by']}, as entry {prepared['entry']} of the ledger says"
    yield "its SHA-256", f"{prepared['digest']}, of exactly the bytes that will be sent"
    whole = prepared["object"]
    if isinstance(whole, str):
        for number, line in enumerate(whole.split("\n"), start=1):
            yield f"› {number}", line
    else:
        # What others named is marked, so that it cannot be taken for a line of ours.
        for label, text in _told("", whole, 0):
            yield f"› {label}", text


def _told(name: str, value: JSONValue, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value and depth < DEPTH_MAX:
        for key, one in value.items():
            yield from _told(f"{name} · {key}" if name else key, one, depth + 1)
    elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value) and depth < DEPTH_MAX:
        yield name or "items", _counted(value)
        for number, one in enumerate(value, start=1):
            yield f"{name} {number}".strip(), _item(one)
    else:
        yield name or "value", _plain(value)


def _counted(items: list[JSONValue]) -> str:
    """How many, and the sum of each member that is a whole number in all of them."""
    rows = [one for one in items if isinstance(one, dict)]
    sums = []
    if len(rows) == len(items):
        for name in rows[0]:
            numbers = [row.get(name) for row in rows]
            if all(type(one) is int for one in numbers):
                sums.append(f"{name} {sum(cast('list[int]', numbers)):,}")
    told = f"; together {', '.join(sums)}" if sums else ""
    return f"{len(items)} {'item' if len(items) == 1 else 'items'}{told}"


def _item(value: JSONValue) -> str:
    if isinstance(value, dict) and value:
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    return _plain(value)


def _plain(value: JSONValue) -> str:
    """As JSON, so that no text can go on as if it were another member."""
    return encode(value).decode()
