"""Know whether an index that nobody wrote in between is still as it was left: by digests of its files.

SQLite finds a page that is out of order, not a number that is another one. Whoever holds the lock of the index writes
the digests when it is closed; the first change takes them away, so that an index of a process that was killed has none:
that one has its marks, and what SQLite finds.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.search_index import files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SUMS: Final = "sums"


def settle(directory: Path, paths: Iterable[Path]) -> None:
    """Write the digests of these files, if there are none and nothing is still in a write-ahead log. What fails is
    left: without digests an index is as good as before."""
    place = directory / SUMS
    with suppress(OSError):
        if not place.exists():
            text = _told(paths)
            if text:
                beside = place.with_name(f"{SUMS}.new")
                beside.write_text(text)
                beside.replace(place)


def unsettle(directory: Path) -> None:
    """Take the digests away. Raises Unavailable (`search.unavailable`)."""
    files.remove(directory / SUMS)


def are_there(directory: Path) -> bool:
    """Whether an index was closed after its last change."""
    return (directory / SUMS).exists()


def is_changed(directory: Path, paths: Iterable[Path]) -> bool:
    """Whether these files are not those of which there are digests."""
    try:
        return (directory / SUMS).read_text(errors="replace") != _told(paths)
    except OSError:
        return True


def _told(paths: Iterable[Path]) -> str:
    """Return one line for each file; nothing where a write-ahead log has something that the files lack."""
    lines = []
    for path in paths:
        beside = path.with_name(f"{path.name}-wal")
        if beside.exists() and beside.stat().st_size:
            return ""
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    return "".join(lines)
