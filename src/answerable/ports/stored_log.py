"""Port: the log of another process of the deployment, as it stands on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.ledger.entry import StoredEntry


class StoredLog(Protocol):
    """Promises: it only reads, whether its process runs or not; what was on stable storage when it was asked is all
    there, sealed fields too, and leads to the root that was signed over it.

    Raises Unavailable (`ledger.unreadable`) and Broken (`ledger.*`), which may pass while its process writes.
    """

    @property
    def name(self) -> str:
        """What it is called among its siblings; not its origin."""
        ...

    def origin(self) -> str:
        """The log's name; empty where there is none yet."""
        ...

    def entries(self, start: int) -> Iterator[StoredEntry]:
        """Entries from index `start` on."""
        ...
