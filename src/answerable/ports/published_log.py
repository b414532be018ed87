"""Port: read a published log as any outside party reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.tlog.checkpoint import Checkpoint
    from answerable.core.tlog.note import VerifierKey


class PublishedLog(Protocol):
    """Promises: only reads, while another process may be writing; each call sees what is published at that moment, and
    whatever was published once can be read again later.

    Verifies only that proofs lead to the requested root. Raises Unavailable (`ledger.unreadable`), which may be
    temporary, and Broken (`ledger.corrupt`) where tiles are missing or contradict one another.
    """

    @property
    def name(self) -> str:
        """The log's directory name among its siblings; not its origin."""
        ...

    def key(self) -> VerifierKey | None:
        """Return the first of the keys published with the log; None before there are any."""
        ...

    def checkpoint(self) -> bytes | None:
        """Return the newest published checkpoint; None before the first."""
        ...

    def cosigned(self) -> bytes | None:
        """Return the newest checkpoint with cosignatures; None before the first."""
        ...

    def leaves(self, start: int, stop: int) -> Iterator[bytes]:
        """Return the entries from index `start` up to `stop`, which a published checkpoint covers."""
        ...

    def consistency_proof(self, old_size: int, new: Checkpoint) -> tuple[bytes, ...]:
        """Return the proof that the tree of the first size is a prefix of the tree of a published checkpoint."""
        ...

    def inclusion_proof(self, index: int, under: bytes) -> str:
        """Return the proof file (C2SP tlog-proof) for an entry against this checkpoint, which may be an older one.

        Raises Malformed (`proof.index_range`) for an entry that the checkpoint does not cover, and for bytes that are
        no checkpoint.
        """
        ...
