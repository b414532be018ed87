"""Port: a log as strangers read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.tlog.checkpoint import Checkpoint
    from answerable.core.tlog.note import VerifierKey


class PublishedLog(Protocol):
    """Promises: it only reads, while some other process may be writing; each call sees what is published just then, and
    what was published once can be read again later.

    Nothing is verified here but that proofs lead to the root they are asked for. Raises Unavailable
    (`ledger.unreadable`), which may pass, and Broken (`ledger.corrupt`) where tiles are missing or contradict one
    another.
    """

    @property
    def name(self) -> str:
        """What it is called among its siblings; not its origin."""
        ...

    def key(self) -> VerifierKey | None:
        """The first of the keys beside the log, None before there are any."""
        ...

    def checkpoint(self) -> bytes | None:
        """The newest published checkpoint, None before the first."""
        ...

    def cosigned(self) -> bytes | None:
        """The newest checkpoint with cosignatures, None before the first."""
        ...

    def leaves(self, start: int, stop: int) -> Iterator[bytes]:
        """Entries from index `start` up to `stop`, which a published checkpoint covers."""
        ...

    def consistency_proof(self, old_size: int, new: Checkpoint) -> tuple[bytes, ...]:
        """Proof that the tree of the first size is a prefix of that of a published checkpoint."""
        ...

    def inclusion_proof(self, index: int, under: bytes) -> str:
        """Proof file (C2SP tlog-proof) for an entry against this checkpoint, which may be an older one.

        Raises Malformed (`proof.index_range`) for an entry that it does not cover, and for what is no checkpoint.
        """
        ...
