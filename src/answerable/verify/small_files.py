"""Read small files of a log (keys, heads, newest checkpoints) as a whole, with a size limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.errors.codes.ledger import LOG_FILE_SIZE
from answerable.plain_file import read_plain

if TYPE_CHECKING:
    from pathlib import Path

SMALL_FILE_BYTES_MAX: Final = 1_048_576


def content_of_small(path: Path, bytes_max: int = SMALL_FILE_BYTES_MAX) -> bytes:
    """Return a file's bytes. Raises Malformed (`log.file_size`), OSError."""
    content = read_plain(path, bytes_max + 1)
    if len(content) > bytes_max:
        raise LOG_FILE_SIZE()
    return content
