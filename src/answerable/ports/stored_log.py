"""Port: read the log of another process of the deployment from disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.ledger.entry import StoredEntry


class StoredLog(Protocol):
    """Promises: only reads, whether the log's process runs or not; returns everything that was on stable storage at the
    call, including sealed fields, checked against the signed root.

    Raises Unavailable (`ledger.unreadable`) and Broken (`ledger.*`), which may be temporary while its process writes.
    """

    @property
    def name(self) -> str:
        """The log's directory name among its siblings; not its origin."""
        ...

    def origin(self) -> str:
        """Return the log's origin; empty where there is none yet."""
        ...

    def entries(self, start: int) -> Iterator[StoredEntry]:
        """Return the entries from index `start` on."""
        ...


class LogSnapshot(Protocol):
    """What a log had at one moment; later entries are not in it. Raises as StoredLog."""

    @property
    def origin(self) -> str:
        """The log's origin."""
        ...

    @property
    def size(self) -> int:
        """Number of entries."""
        ...

    def replay(self, start: int = 0) -> Iterator[StoredEntry]:
        """Return the entries from index `start` on."""
        ...

    def entry(self, index: int) -> StoredEntry:
        """Return one entry. Raises Malformed (`ledger.no_entry`) for one beyond the end."""
        ...
