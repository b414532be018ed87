"""Render a prepared object for a card: each item of a list on a line, with their number and sums.

Laws: a pure function of the action object; every value of the prepared object is on some line, none is cut; names
chosen by others are quoted unless they are one plain word; sums are computed here, and only of whole numbers that every
item has under one name; what budgets count as money is formatted as money.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from answerable.core.approval.money import money
from answerable.core.canonical import encode
from answerable.core.registry.documents.budget_name import MONEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from answerable.core.canonical import JSONValue

DEPTH_MAX: Final = 3
"""Nesting depth of lists and objects that get their own lines; deeper values are shown as JSON."""
_EVERY: Final = "*"
_WORD: Final = re.compile(r"[\w$@./-]+")


class _Priced(NamedTuple):
    """The member of the items of a list that is money. items: the pointer to the list. budget: such as `money:EUR`."""

    items: str
    member: str
    budget: str


def prepared_lines(value: Mapping[str, JSONValue]) -> Iterator[tuple[str, str]]:
    """Yield pairs of label and text for the object of an action; none where it executes no prepared object."""
    prepared = value.get("prepared")
    if not isinstance(prepared, dict):
        return
    yield "prepared by", f"{prepared['by']}, as entry {prepared['entry']} of the ledger says"
    yield "its SHA-256", f"{prepared['digest']}, of exactly the bytes that will be sent"
    whole = prepared["object"]
    if isinstance(whole, str):
        for number, line in enumerate(whole.split("\n"), start=1):
            yield f"› {number}", line
        return
    # Labels chosen by others are marked, so that they cannot be mistaken for ours.
    for label, text in _told("", whole, "", _priced(prepared, value.get("amounts"))):
        yield f"› {label}", text


def _priced(prepared: Mapping[str, JSONValue], amounts: JSONValue) -> _Priced | None:
    budgets = [name for name in amounts if name.startswith(MONEY)] if isinstance(amounts, dict) else []
    items, every, member = str(prepared.get("money", "")).rpartition(f"/{_EVERY}/")
    if len(budgets) != 1 or not every or "/" in member or _EVERY in items:
        return None
    return _Priced(items, member.replace("~1", "/").replace("~0", "~"), budgets[0])


def _told(name: str, value: JSONValue, at: str, priced: _Priced | None) -> Iterator[tuple[str, str]]:
    depth = at.count("/")
    if isinstance(value, dict) and value and depth < DEPTH_MAX:
        for key, one in value.items():
            below = f"{at}/{key.replace('~', '~0').replace('/', '~1')}"
            yield from _told(f"{name} · {_named(key)}" if name else _named(key), one, below, priced)
    elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value) and depth < DEPTH_MAX:
        here = priced if priced is not None and priced.items == at else None
        yield name or "items", _counted(value, here)
        for number, one in enumerate(value, start=1):
            yield f"{name} {number}".strip(), _item(one, here)
    else:
        yield name or "value", _plain(value)


def _counted(items: list[JSONValue], priced: _Priced | None) -> str:
    """Return the number of items, and the sum of each member that is a whole number in all of them."""
    rows = [one for one in items if isinstance(one, dict)]
    sums = []
    if len(rows) == len(items):
        for name in rows[0]:
            numbers = [row.get(name) for row in rows]
            if all(type(one) is int for one in numbers):
                total = sum(cast("list[int]", numbers))
                sums.append(f"{_named(name)} {_as_money(name, total, priced) or f'{total:,}'}")
    told = f"; together {', '.join(sums)}" if sums else ""
    return f"{len(items)} {'item' if len(items) == 1 else 'items'}{told}"


def _item(value: JSONValue, priced: _Priced | None) -> str:
    if isinstance(value, dict) and value:
        return ", ".join(
            f"{_named(name)} {_as_money(name, one, priced) or _plain(one)}" for name, one in value.items()
        )
    return _plain(value)


def _as_money(name: str, value: JSONValue, priced: _Priced | None) -> str:
    if priced is None or name != priced.member or type(value) is not int or value < 0:
        return ""
    return money(priced.budget, value)


def _named(name: str) -> str:
    """Return a one-word name as it is; else as JSON, so that no name can look like a value and another name."""
    return name if _WORD.fullmatch(name) else encode(name).decode()


def _plain(value: JSONValue) -> str:
    """Return the value as JSON, so that no text can look like another member."""
    return encode(value).decode()
