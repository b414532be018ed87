"""Publish checkpoints and cosigned checkpoints, durably and irrevocably.

Laws:
- published state only grows: a slower seal that ends after a faster one publishes nothing, and neither does a late
  cosigned checkpoint;
- only a checkpoint over this log's own tree is published as cosigned.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from answerable.adapters.tlog_files import directory as files
from answerable.adapters.tlog_files.history import Signed
from answerable.core.tlog.checkpoint import verified_checkpoint
from answerable.core.tlog.note import Note
from answerable.core.tlog.tile import edge_from_tiles
from answerable.errors import Unverified
from answerable.errors.codes.ledger import LEDGER_COSIGNED_OTHER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from answerable.adapters.tlog_files.history import NoteHistory
    from answerable.adapters.tlog_files.recovery import Stored
    from answerable.adapters.tlog_files.sealing import Sealed
    from answerable.adapters.tlog_files.tiles import TileFiles
    from answerable.core.ledger.head import Head
    from answerable.core.tlog.note import VerifierKey


class Publisher:
    """The published state of one log. Thread-safe.

    sealed: what the newest checkpoint covers. tiled: whether its tiles are known to be correct. cosigned: the newest
    checkpoint with cosignatures of witnesses.
    """

    def __init__(
        self, directory: Path, tiles: TileFiles, keys: Sequence[VerifierKey], stored: Stored
    ) -> None:
        self.sealed, self.tiled = stored.sealed, stored.tiled
        self.cosigned: Signed | None = stored.cosigned.newest
        self._directory, self._tiles, self._keys = directory, tiles, tuple(keys)
        self._checkpoints: NoteHistory = stored.checkpoints
        self._all_cosigned: NoteHistory = stored.cosigned
        self._publishing = threading.Lock()

    def publish(self, sealed: Sealed, head: Head) -> bool:
        """Publish a checkpoint whose tiles are durable; return whether it was new. Raises OSError.

        1. Add it to the history. Until this is synced, a crash leaves the previous checkpoint, and tiles beyond it;
           after that, a history that is ahead of `checkpoint` and `head`: opening trusts the history.
        2. Remove partial tiles that have full ones now. A crash leaves some, and the next seal removes them.
        3. Replace `checkpoint` and `head`. A crash leaves either of them as it was.
        """
        with self._publishing:
            before = self.sealed.extent.size
            if (
                sealed.note is None
                or sealed.extent.size < before
                or (sealed.extent.size == before and self.tiled)
            ):
                return False
            if sealed.extent.size > before:
                self._checkpoints.append(sealed.note)
            self._tiles.drop_partials(sealed.full)
            self._replace(sealed.note, head)
            self.sealed, self.tiled = sealed, True
            return True

    def write_head(self, head: Head) -> None:
        """Replace the head alone, and the checkpoint if an earlier crash prevented that. Raises OSError."""
        with self._publishing:
            self._replace(self.sealed.note, head)

    def publish_cosigned(self, encoded: bytes) -> bool:
        """Publish one of this log's checkpoints with cosignatures; return whether it was new: more leaves, or more
        signatures.

        Checks the log's signature and the root, not the cosignatures. Raises Malformed; Unverified for a checkpoint
        that is not over this log's tree; Broken (`ledger.corrupt`); OSError.

        1. Add it to `cosigned.log`. A crash before the sync leaves nothing, a crash after it a history that is ahead of
           `cosigned`: opening trusts the history.
        2. Replace `cosigned`. A crash leaves it as it was.
        """
        checkpoint = verified_checkpoint(encoded, origin=self._keys[0].name, log_keys=self._keys)
        with self._publishing:
            size = checkpoint.size
            if size > self.sealed.extent.size:
                raise _not_ours(f"the log has no checkpoint over {size} entries yet")
            if size == 0 or edge_from_tiles(size, self._tiles.read).root() != checkpoint.root:
                raise _not_ours(f"the log's tree over {size} entries has another root")
            before = self.cosigned
            if before is not None and (
                size < before.checkpoint.size
                or (size == before.checkpoint.size and not _signers(encoded) > _signers(before.note))
            ):
                return False
            self._all_cosigned.append(encoded)
            files.replace_files(self._directory, {files.COSIGNED: encoded})
            self.cosigned = Signed(checkpoint=checkpoint, note=encoded)
            return True

    def _replace(self, note: bytes | None, head: Head) -> None:
        contents = {files.CHECKPOINT: note} if note is not None else {}
        files.replace_files(self._directory, {**contents, files.HEAD: head.encoded()})


def _signers(note: bytes) -> set[tuple[str, bytes]]:
    return {(one.name, one.key_id) for one in Note.parse(note).signatures}


def _not_ours(why: str) -> Unverified:
    return LEDGER_COSIGNED_OTHER(f"not a checkpoint of this log: {why}")
