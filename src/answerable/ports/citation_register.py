"""Port: where in a log the statements stand that intents refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.ledger.leaves import Reference

Cited = tuple[str, str]
"""Kind and name of a statement."""


class CitationRegister(Protocol):
    """Promises: what `keep` was given is on stable storage when it returns, and every later `find` sees it. An index
    and no record: the log is the record, and whoever uses what is found here holds it against the log. Raises only
    Unavailable (`register.*`).
    """

    def find(self, origin: str, name: Cited) -> Reference | None:
        """Where the log `origin` has it, as far as was kept. Reads."""
        ...

    def keep(self, origin: str, places: Mapping[Cited, Reference], entries: int) -> None:
        """Keep where these stand, in place of what was kept of them before, and that no other statement of this log
        below the entry of that index is missing. One write."""
        ...

    def kept_to(self, origin: str) -> int:
        """Up to which entry of this log nothing is missing; 0 when nothing was kept."""
        ...
