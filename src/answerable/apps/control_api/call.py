"""One request as operations receive it, with the helpers they share: reading the body and paging a list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from answerable.api.members import Page
from answerable.core.registry.documents.fields import Fault, Fields
from answerable.errors import shown
from answerable.errors.codes.services import REQUEST_BODY, REQUEST_QUERY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from answerable.apps.control_api.product import Product
    from answerable.core.canonical import JSONValue
    from answerable.wiring.walk import Walk

PAGE_ITEMS_MAX: Final = 500
PAGE_ITEMS_DEFAULT: Final = 100
TOKEN_CHARS_MAX: Final = 262_144

T = TypeVar("T")
R = TypeVar("R")
Answer: TypeAlias = "dict[str, JSONValue]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. by: the caller as named in the ledger. path, query: parameters as text. body: None if absent."""

    product: Product
    by: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: JSONValue

    @property
    def walk(self) -> Walk:
        """Ports, limits and present state."""
        return self.product.walk

    def members(self, *known: str) -> BodyReader:
        """Return a reader of the body as an object with no other members than these."""
        return BodyReader(self.body, known)


class BodyReader:
    """Reads members of a body; the first fault is raised as Malformed with its JSON pointer."""

    __slots__ = ("_faults", "_fields")

    def __init__(self, body: JSONValue, known: tuple[str, ...]) -> None:
        self._faults: list[Fault] = []
        self._fields = Fields(body, known=known, document=0, path="", faults=self._faults)
        self._checked()

    def text(self, name: str, *, chars_max: int = TOKEN_CHARS_MAX) -> str:
        """Return a required text."""
        value = self._fields.text(name, chars_max=chars_max)
        self._checked()
        return value

    def has(self, name: str) -> bool:
        """Whether the member is present."""
        return self._fields.has(name)

    def flag(self, name: str) -> bool:
        """Return a boolean; false if absent."""
        value = self._fields.flag(name, default=False)
        self._checked()
        return value

    def texts_by_name(self, name: str) -> dict[str, str]:
        """Return an object whose members are all text; empty if absent."""
        pairs = dict(self._fields.pairs(name))
        self._checked()
        for key, value in pairs.items():
            if not isinstance(value, str):
                raise REQUEST_BODY(f"/{name}: {shown(key)} must be text")
        return {key: str(value) for key, value in pairs.items()}

    def items(self, name: str) -> tuple[JSONValue, ...]:
        """Return a required list."""
        if not self._fields.has(name):
            raise REQUEST_BODY(f"the body lacks {shown(name)}")
        value = self._fields.items(name)
        self._checked()
        return value

    def _checked(self) -> None:
        if self._faults:
            fault = self._faults[0]
            raise REQUEST_BODY(f"{fault.path or 'the body'}: {fault.message}")


def page_of(call: Call, items: Iterable[T], *, name: Callable[[T], str], render: Callable[[T], R]) -> Page[R]:
    """Return one page of `items`, in their order: at most `limit` items after the one named `cursor`.

    Raises Malformed (`request.query`) for a limit out of range or a cursor that is not in the list.
    """
    found, following = _cut(call, items, name)
    return Page(items=tuple(render(item) for item in found), next=following)


def _cut(call: Call, items: Iterable[T], name: Callable[[T], str]) -> tuple[list[T], str | None]:
    limit = page_limit(call)
    rest = iter(items)
    cursor = call.query.get("cursor")
    if cursor is not None and not any(name(item) == cursor for item in rest):
        raise REQUEST_QUERY(f"cursor {shown(cursor)} is not of this list")
    found = list(islice(rest, limit + 1))
    return found[:limit], name(found[limit - 1]) if len(found) > limit else None


def instant(milliseconds: int) -> str:
    """Return a time as RFC 3339 in UTC with milliseconds."""
    when = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def page_limit(call: Call) -> int:
    """Return how many items a page has at most. Raises Malformed (`request.query`)."""
    text = call.query.get("limit", str(PAGE_ITEMS_DEFAULT))
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 1 <= limit <= PAGE_ITEMS_MAX:
        raise REQUEST_QUERY(f"limit must be 1 to {PAGE_ITEMS_MAX}, got {shown(text)}")
    return limit
