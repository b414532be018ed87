"""Older copy: the registers are put back to a copy from before anything was used or ended. Nothing is undone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.seams.feature import Feature
from tests.seams.features import begin, column, each, finish, still
from tests.seams.life import Life, life

pytestmark = pytest.mark.requirement("SEAM-05")


def copied(registers: Path, copy: Path) -> None:
    """As SQLite copies a database that is in use."""
    with closing(sqlite3.connect(registers)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


@pytest.fixture(scope="module")
def lived() -> Iterator[Life]:
    with life() as one:
        registers, older = one.home.data / "answerable.db", one.root / "older.db"
        begin(one)
        copied(registers, older)
        finish(one)
        each(one, lambda row: still(one, row))
        one.stop()
        for name in ("answerable.db-wal", "answerable.db-shm"):
            (one.home.data / name).unlink(missing_ok=True)
        registers.write_bytes(older.read_bytes())
        one.start()
        yield one


@column("older copy")
def test_an_older_copy_of_the_registers_undoes_nothing(lived: Life, row: Feature):
    still(lived, row)
