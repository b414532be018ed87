"""Of the zeros that a segment ends with, an opening keeps the first, and finds nothing else than with all of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from answerable.adapters.tlog_files import directory, recovery
from answerable.adapters.tlog_files.tiles import TileFiles
from answerable.errors import Broken
from answerable.testing.contracts.ledger import log_key
from tests.worlds.ledger_files import SMALL, grown, small_log

pytestmark = pytest.mark.requirement("FAST-43")


@pytest.mark.parametrize("kept_bytes", [20, 100, None], ids=["in its header", "in its leaf", "whole"])
@pytest.mark.parametrize("further_bytes", [0, 300_000], ids=["followed by zeros", "far from its rest"])
def test_a_torn_end_is_judged_as_if_all_zeros_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept_bytes: int | None, further_bytes: int
) -> None:
    async def run() -> None:
        ledger = small_log(tmp_path, replace(SMALL, segment_bytes=1 << 20))
        await grown(ledger, 6)
        ledger._release()

    asyncio.run(run())
    (path,) = (tmp_path / "wal").glob("*.wal")
    content = path.read_bytes()
    entry = (
        content[128:].partition(b"\0" * 100)[0][-200:] if kept_bytes is None else content[128:][:kept_bytes]
    )
    end = len(content.rstrip(b"\0")) + further_bytes
    path.write_bytes(content[:end] + entry + bytes(len(content) - end - len(entry)))
    stored = partial(recovery.read_stored, tmp_path, keys=(log_key()[0],), tiles=TileFiles(tmp_path))

    def told() -> object:
        try:
            return stored().cut
        except Broken as error:
            return error.code, error.message

    found = told()
    assert found is not None
    assert len(directory.read_from_disk(path)) < len(content)
    monkeypatch.setattr(directory, "read_from_disk", Path.read_bytes)
    assert told() == found


@pytest.mark.parametrize("size", [0, 1, 65_536, 100_000, 1_000_000])
@pytest.mark.parametrize("used", [b"", b"used", b"u" * 65_536, b"\0" * 140_000 + b"used"], ids=len)
def test_of_the_zeros_at_the_end_of_a_segment_only_the_first_are_kept(
    tmp_path: Path, used: bytes, size: int
) -> None:
    path = tmp_path / "segment"
    path.write_bytes(used + bytes(size))
    found = directory.read_from_disk(path)
    assert found.rstrip(b"\0") == used
    assert (used + bytes(size)).startswith(found)
    assert len(found) < len(used) + 3 * 65_536
