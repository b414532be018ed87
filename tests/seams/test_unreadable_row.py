"""Unreadable row: one row of every table of the registers is spoilt while the server is down. No other is out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.seams.feature import Feature
from tests.seams.features import FEATURES, column, each, prepare, still
from tests.seams.life import Life, life

pytestmark = pytest.mark.requirement("SEAM-08")


@pytest.fixture(scope="module")
def lived() -> Iterator[Life]:
    """Spoilt is what each row wrote besides what it looks at."""
    with life() as one:
        prepare(one)
        registers = one.home.data / "answerable.db"
        before = keys_in(registers)
        each(one, lambda row: row.write(one, one.kept[row.name], 0))
        one.stop()
        for row in FEATURES:
            one.kept[row.name]["spoilt"] = [
                table
                for table in sorted(row.tables & before.keys())
                if spoil(registers, table, before[table])
            ]
        one.start()
        yield one


def keys_in(registers: Path) -> dict[str, set[tuple[object, ...]]]:
    """Of every table, its rows."""
    with closing(sqlite3.connect(registers)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: {*database.execute(f"SELECT {', '.join(columns(database, table)[0])} FROM {table}")}
            for table in tables
        }


def columns(database: sqlite3.Connection, table: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Those of its key, and those that hold text or bytes besides, with their types."""
    found = database.execute(f"PRAGMA table_info({table})").fetchall()
    key = [name for _, name, _, _, _, place in found if place] or ["rowid"]
    return key, [
        (name, kind) for _, name, kind, _, _, place in found if not place and kind in ("TEXT", "BLOB")
    ]


def spoil(registers: Path, table: str, before: set[tuple[object, ...]]) -> bool:
    """Overwrite the body of one row that was not there before; False where there is none to be spoilt."""
    with closing(sqlite3.connect(registers)) as database, database:
        key, bodies = columns(database, table)
        rows = [one for one in database.execute(f"SELECT {', '.join(key)} FROM {table}") if one not in before]
        if not rows or not bodies:
            return False
        name, kind = max(bodies, key=lambda one: length(database, table, one[0]))
        spoilt = b"\x00\xff" if kind == "BLOB" else "{ no JSON"
        where = " AND ".join(f"{one} = ?" for one in key)
        database.execute(f"UPDATE {table} SET {name} = ? WHERE {where}", (spoilt, *rows[0]))
        return True


def length(database: sqlite3.Connection, table: str, name: str) -> int:
    return int(database.execute(f"SELECT coalesce(max(length({name})), 0) FROM {table}").fetchone()[0])


@column("unreadable row")
def test_a_row_that_cannot_be_read_puts_out_only_itself(lived: Life, row: Feature):
    still(lived, row)


def test_rows_of_most_tables_were_spoilt(lived: Life):
    spoilt = {table for row in FEATURES for table in lived.kept[row.name]["spoilt"]}
    assert {"mandates", "approvals", "holds", "revocations", "documents"} <= spoilt, spoilt
