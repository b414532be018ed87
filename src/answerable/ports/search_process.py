"""Port: the process that alone reads the ledger for questions and writes the search index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from answerable.api.members import Part

if TYPE_CHECKING:
    from answerable.api.search_answers import SearchAnswer

SEARCH_PATH: Final = "/v1/search"
REACH_PATH: Final = "/v1/reach"
HOST: Final = "search"
QUESTION_SECONDS_MAX: Final = 15.0
"""How long a question waits at most, whoever asks: with the start of the process, and what that has to read first."""


class Question(Part, frozen=True, kw_only=True):
    """One search. words: `field:value` each. cursor: empty for the first page. entries: how many entries of the log are
    durable: the answer covers them, if they can be read in time."""

    words: tuple[str, ...]
    limit: int
    cursor: str
    entries: int


class IndexReach(Part, frozen=True, kw_only=True):
    """Up to how many entries the index is complete."""

    entries: int


class SearchProcess(Protocol):
    """Promises: each question is answered within a limited time, and stops nothing where it is not.

    Raises Malformed as `parsed_query` and `parsed_cursor`, and Unavailable: `search.*`.
    """

    async def search(self, question: Question) -> SearchAnswer:
        """Return one page of hits."""
        ...

    async def reach(self) -> IndexReach:
        """Return up to where the index is complete."""
        ...
