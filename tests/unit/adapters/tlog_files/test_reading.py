"""Stored entries are read in growing windows: a few of them in few bytes, all of them whatever their sizes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.tlog_files import reading
from answerable.adapters.tlog_files.reading import (
    FIRST_WINDOW_BYTES,
    WINDOW_BYTES_MAX,
    passed_frames,
    stored_frames,
)
from answerable.core.ledger.codec import frame_header
from answerable.errors import Broken
from answerable.plain_file import open_plain

HEAD = 128
SEGMENT_BYTES = 8 * WINDOW_BYTES_MAX


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes asked for, read by read."""
    found: list[int] = []

    class Counted:
        def __init__(self, opened: Any) -> None:
            self.seek, self._read = opened.seek, opened.read

        def read(self, count: int) -> bytes:
            found.append(count)
            return self._read(count)

    @contextmanager
    def counted(path: Path) -> Iterator[Counted]:
        with open_plain(path) as opened:
            yield Counted(opened)

    monkeypatch.setattr(reading, "open_plain", counted)
    return found


def segment(folder: Path, leaves: list[bytes]) -> Path:
    """A segment with these entries, and zeros to its end as they are filled."""
    content = bytes(HEAD)
    for leaf in leaves:
        content += frame_header(leaf, b"", chain=bytes(32), batch=0) + leaf
    path = folder / "0.seg"
    path.write_bytes(content.ljust(SEGMENT_BYTES, b"\0"))
    return path


@pytest.mark.requirement("HOUSE-47")
def test_a_few_entries_are_read_in_few_bytes(tmp_path, asked):
    path = segment(tmp_path, [b"one", b"two", b"three"])
    assert [frame.leaf for _, frame in stored_frames(path, HEAD, 3)] == [b"one", b"two", b"three"]
    assert asked == [FIRST_WINDOW_BYTES]


@pytest.mark.parametrize(
    "sizes",
    [
        [3_000] * 1_000,
        [FIRST_WINDOW_BYTES - 64, 1, FIRST_WINDOW_BYTES, 5],
        [1, 60_000, 1, 60_000],
        [60_000] * 60,
    ],
    ids=("many", "to the edge", "large beside small", "large"),
)
def test_entries_of_all_sizes_are_read_and_windows_grow_to_their_bound(tmp_path, asked, sizes):
    leaves = [bytes([number % 255 + 1]) * size for number, size in enumerate(sizes)]
    path = segment(tmp_path, leaves)
    read = list(stored_frames(path, HEAD, len(leaves)))
    assert [frame.leaf for _, frame in read] == leaves
    assert [end for end, _ in read] == list(passed_frames(path, HEAD, len(leaves)))
    assert asked[0] == FIRST_WINDOW_BYTES
    assert max(asked) <= WINDOW_BYTES_MAX


def test_an_entry_that_is_not_there_is_told_where_it_should_begin(tmp_path):
    path = segment(tmp_path, [b"one"])
    with pytest.raises(Broken, match=f"at byte {HEAD + 64 + 3}: the entry is missing"):
        list(stored_frames(path, HEAD, 2))
