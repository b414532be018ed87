"""Read the entries of a ledger's directory, or a copy of one, without a server and without keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.tlog_files import PublishedFiles
from answerable.core.canonical import parse
from answerable.core.ledger.entry import StoredEntry
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.merkle import leaf_hash
from answerable.core.tlog.note import Note
from answerable.errors import shown
from answerable.errors.codes.ledger import LEDGER_LEAF_MALFORMED, LEDGER_NO_COPY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def copied_entries(directory: Path) -> Iterator[StoredEntry]:
    """Yield every entry below the latest checkpoint, without sealed fields. Nothing is verified: use `answerable ledger
    verify` for that.

    Raises Malformed (`ledger.no_copy`) if there is no ledger, Broken (`ledger.corrupt`, `ledger.leaf_malformed`) and
    Unavailable.
    """
    files = PublishedFiles(directory)
    note = files.checkpoint()
    if note is None:
        raise LEDGER_NO_COPY(
            f"there is no ledger in {shown(directory)}: expected a directory with a `checkpoint` file"
        )
    size = Checkpoint.parse(Note.parse(note).text).size
    for index, leaf in enumerate(files.leaves(0, size)):
        value = parse(leaf)
        tag = value.get("tag") if isinstance(value, dict) else None
        if type(tag) is not int:
            raise LEDGER_LEAF_MALFORMED(f"entry {index} has a leaf without a tag")
        yield StoredEntry(index=index, tag=tag, leaf=leaf, attachment=b"", leaf_hash=leaf_hash(leaf))
