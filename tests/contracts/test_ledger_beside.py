"""A log that is read while its writer goes on: between any two files that the reader opens."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.tlog_files import history, recovery
from answerable.adapters.tlog_files.beside import StoredFiles
from tests.worlds.ledger_files import grown, small_log

READS = 12
"""More than the small files of a log."""


async def two_moments(folder: Path) -> tuple[Path, Path]:
    """The same log, sealed, and later, sealed again."""
    for size, name in ((5, "before"), (300, "after")):
        async with small_log(folder / "log") as ledger:
            await grown(ledger, size)
        shutil.copytree(folder / "log", folder / name)
    return folder / "before", folder / "after"


@pytest.mark.requirement("LEDGER-24")
@pytest.mark.parametrize("read", range(READS))
def test_a_reader_finds_one_moment_wherever_the_writer_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: int
) -> None:
    before, after = asyncio.run(two_moments(tmp_path))
    sizes = [found.size for one in (before, after) if (found := StoredFiles(one).snapshot()) is not None]
    reads = [0]

    def counted(called: Callable[..., Any]) -> Callable[..., Any]:
        def with_a_writer(*given: Any) -> Any:
            if reads[0] == read:
                shutil.copytree(after, before, dirs_exist_ok=True)
            reads[0] += 1
            return called(*given)

        return with_a_writer

    for module in (history, recovery):
        monkeypatch.setattr(module, "read_plain", counted(module.read_plain))
    found = StoredFiles(before).snapshot()
    assert found is not None
    assert found.size in sizes
