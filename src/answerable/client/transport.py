"""What the client's functions need to ask the control API, and what they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar
from urllib.parse import quote

from answerable.errors.codes.services import CLI_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from msgspec import Struct

    from answerable.api.members import Page

T = TypeVar("T")

READ_SECONDS_MAX: Final = 10.0
"""Longest wait for an answer that takes the server no long computation."""
WAIT_SECONDS_MAX: Final = 60.0
"""Longest wait for an answer to a change or to a long computation."""
INDEX_SECONDS_MAX: Final = 20.0
"""Longest wait for an answer of the index: the server gives up after 15 s, and the rest is for its own answer."""
PAGE_ITEMS: Final = 500
"""Items of a list that are asked for at once: the most that the server gives."""
NAME_CHARS_MAX: Final = 2_000
"""Limit for a name or an id."""


class Transport(Protocol):
    """Asks one server."""

    def answer_as(
        self,
        answer: type[T],
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Struct | None = None,
        seconds_max: float = READ_SECONDS_MAX,
    ) -> T:
        """Return the server's answer. body: None for an empty object.

        Raises the error that the server answered with, Unavailable (`control.no_answer`) when there is no answer within
        `seconds_max`, and Broken (`control.answer`) for an answer of another shape.
        """
        ...


def items_of(
    transport: Transport,
    page: type[Page[T]],
    path: str,
    query: Mapping[str, str] | None = None,
    *,
    seconds_max: float = READ_SECONDS_MAX,
) -> Iterator[T]:
    """Iterate over all items of a list, page by page. seconds_max: for each page."""
    asked = {**(query or {}), "limit": str(PAGE_ITEMS)}
    while True:
        found = transport.answer_as(page, "GET", path, query=asked, seconds_max=seconds_max)
        yield from found.items
        if found.next is None:
            return
        asked = {**asked, "cursor": found.next}


def given(**query: str | None) -> dict[str, str]:
    """Return the query parameters that were given."""
    return {name: value for name, value in query.items() if value is not None}


def segment(text: str) -> str:
    """Return a name or an id quoted as one path segment. Raises Malformed (`cli.name`) if it is empty or too long."""
    if not 0 < len(text) <= NAME_CHARS_MAX:
        raise CLI_NAME(f"expected a name or an id of 1 to {NAME_CHARS_MAX} characters, got {len(text)}")
    return quote(text, safe="")
