"""Read the public part of a log's directory, while another process may be writing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.tlog_files import directory as files
from answerable.adapters.tlog_files.glance import Glance, glance
from answerable.adapters.tlog_files.history import Signed
from answerable.adapters.tlog_files.opening import port_errors
from answerable.adapters.tlog_files.proving import proof_of_consistency, proof_of_inclusion
from answerable.adapters.tlog_files.tiles import TileFiles, damaged
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.note import NOTE_BYTES_MAX, Note, VerifierKey
from answerable.core.tlog.tile import TILE_WIDTH, TileName, decode_bundle
from answerable.errors import Malformed
from answerable.errors.codes.ledger import LEDGER_CORRUPT
from answerable.plain_file import read_plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WHAT: Final = "cannot read a published log"


class PublishedFiles:
    """Implements ports.published_log.PublishedLog over one directory, which may not exist."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._tiles = TileFiles(directory)

    @property
    def name(self) -> str:
        """The directory's name."""
        return self._directory.name

    def key(self) -> VerifierKey | None:
        """Return the first key in `log.pub`. Raises Broken (`ledger.corrupt`) if the file contains no key."""
        content = self._content(files.PUBLIC_KEY)
        if not content:
            return None
        try:
            return VerifierKey.parse(content.decode("utf-8", "replace").split("\n")[0])
        except Malformed as error:
            raise LEDGER_CORRUPT(f"ledger is damaged in `{files.PUBLIC_KEY}`: {error.message}") from None

    def checkpoint(self) -> bytes | None:
        """Return the newest checkpoint, after making it durable."""
        content = self._content(files.CHECKPOINT)
        if content is not None:
            with port_errors(_WHAT):
                files.sync_directory(self._directory)
        return content

    def cosigned(self) -> bytes | None:
        return self._content(files.COSIGNED)

    def leaves(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            index, inside = divmod(start, TILE_WIDTH)
            name = TileName(level=None, index=index, width=min(TILE_WIDTH, stop - index * TILE_WIDTH))
            try:
                with port_errors(_WHAT):
                    found = decode_bundle(self._tiles.read(name), count=name.width)
            except Malformed as error:
                raise damaged(name, error.message) from None
            yield from found[inside:]
            start = index * TILE_WIDTH + name.width

    def consistency_proof(self, old_size: int, new: Checkpoint) -> tuple[bytes, ...]:
        with port_errors(_WHAT):
            return proof_of_consistency(
                self._tiles, old_size=old_size, new_size=new.size, size=new.size, root=new.root
            )

    def inclusion_proof(self, index: int, under: bytes) -> str:
        signed = Signed(checkpoint=Checkpoint.parse(Note.parse(under).text), note=under)
        with port_errors(_WHAT):
            return proof_of_inclusion(self._tiles, index, under=signed).encoded().decode()

    def glance(self) -> Glance | None:
        """Compare the newest checkpoint, tiles and entries, as `glance` does; None before there are any. A log that
        goes on meanwhile keeps what was published."""
        key, note = self.key(), self._content(files.CHECKPOINT)
        if key is None or note is None:
            return None
        with port_errors(_WHAT):
            return glance(key, note, self._tiles.read, self.leaves)

    def _content(self, name: str) -> bytes | None:
        with port_errors(_WHAT):
            try:
                content = read_plain(self._directory / name, NOTE_BYTES_MAX + 1)
            except (FileNotFoundError, NotADirectoryError):
                return None
        if len(content) > NOTE_BYTES_MAX:
            raise LEDGER_CORRUPT(f"ledger is damaged in `{name}`: it is too long")
        return content
