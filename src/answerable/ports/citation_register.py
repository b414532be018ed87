"""Port: an index of where in a log each statement is that intents cite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.ledger.leaves import Reference

Cited = tuple[str, str]
"""Kind and name of a statement."""


class CitationRegister(Protocol):
    """Promises: what `keep` stored is on stable storage when it returns, and every later `find` sees it. An index, not
    a record: the log is authoritative, and the caller checks each result against the log. Raises only Unavailable
    (`register.*`)."""

    def find(self, origin: str, name: Cited) -> Reference | None:
        """Return the entry of the log `origin` that holds the statement, as far as it is indexed. May read."""
        ...

    def keep(self, origin: str, places: Mapping[Cited, Reference], entries: int) -> None:
        """Store these places, replacing earlier ones of the same statements, and note that the index is complete for
        all entries below `entries`. One write."""
        ...

    def kept_to(self, origin: str) -> int:
        """Return the number of entries of this log for which the index is complete; 0 when nothing is stored."""
        ...
