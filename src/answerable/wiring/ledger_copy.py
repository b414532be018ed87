"""Read the entries of a ledger's directory, or a copy of one, without a server and without keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.tlog_files import PublishedFiles
from answerable.adapters.tlog_files.directory import DAMAGED
from answerable.core.canonical import parse
from answerable.core.ledger.entry import StoredEntry
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.merkle import leaf_hash
from answerable.core.tlog.note import Note
from answerable.errors import shown
from answerable.errors.codes.ledger import LEDGER_LEAF_MALFORMED, LEDGER_NO_COPY, LEDGER_NO_ENTRY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from answerable.adapters.tlog_files.glance import Glance


class PublishedCopy:
    """The entries below the latest checkpoint in a ledger's directory, without sealed fields; implements
    ports.stored_log.LogSnapshot. Nothing is verified: use `answerable ledger verify` for that."""

    def __init__(self, directory: Path) -> None:
        """Raises Malformed (`ledger.no_copy`) if there is no ledger."""
        self._files = PublishedFiles(directory)
        note = self._files.checkpoint()
        if note is None:
            raise LEDGER_NO_COPY(
                f"there is no ledger in {shown(directory)}: expected a directory with a `checkpoint` file"
            )
        self._checkpoint = Checkpoint.parse(Note.parse(note).text)

    @property
    def origin(self) -> str:
        return self._checkpoint.origin

    @property
    def size(self) -> int:
        return self._checkpoint.size

    def replay(self, start: int = 0) -> Iterator[StoredEntry]:
        """Yield the entries from an index on. Raises Broken (`ledger.corrupt`, `ledger.leaf_malformed`) and
        Unavailable."""
        for index, leaf in enumerate(self._files.leaves(start, self.size), start):
            value = parse(leaf)
            tag = value.get("tag") if isinstance(value, dict) else None
            if type(tag) is not int:
                raise LEDGER_LEAF_MALFORMED(f"entry {index} has a leaf without a tag")
            yield StoredEntry(index=index, tag=tag, leaf=leaf, attachment=b"", leaf_hash=leaf_hash(leaf))

    def entry(self, index: int) -> StoredEntry:
        for found in self.replay(index) if 0 <= index < self.size else ():
            return found
        raise LEDGER_NO_ENTRY(f"there is no entry {index}: the copy holds {self.size}")


def copied_entries(directory: Path) -> Iterator[StoredEntry]:
    """Yield every entry of a copy. Raises as `PublishedCopy`."""
    yield from PublishedCopy(directory).replay()


def damaged_tiles(directory: Path) -> Sequence[Path]:
    """Return what was kept of damaged tiles when they were made again."""
    folder = directory / DAMAGED
    return sorted(folder.iterdir()) if folder.is_dir() else ()


def glance_at(directory: Path) -> Glance | None:
    """Look at a ledger's files for damage, within a bounded number of reads; None where there is none yet. Raises
    Broken (`ledger.corrupt`), Unavailable (`ledger.unreadable`)."""
    return PublishedFiles(directory).glance()
