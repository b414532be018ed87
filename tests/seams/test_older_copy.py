"""Older copy: the registers are put back to a copy from before anything was used or ended. Nothing is undone."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.seams.feature import Feature
from tests.seams.features import begin, column, each, finish, still
from tests.seams.life import Life, life

OWN = {
    "calls_counted": {"entries"},
    "citations_kept": {"entries"},
    "figures_kept": {"entries", "at", "beside"},
    "history_kept": {"entries"},
    "passkeys": {"sign_count"},
    "projections": {"entries", "leaf", "last"},
}
"""By table, what a start moves on: up to where a log was read. Of sign-ins no entry says how a passkey counted them."""
OF_THE_FILE = {"change", "number"}
"""In which order rows came to a file."""
MAY_DIFFER = {
    "authority_changes": "it tells processes that run what changed in this file",
    "citations": "it is filled at a start",
    "figures": "they count a sample of effects that were traced",
    "inventory": "what servers offer is looked at again once they are connected",
    "nonces": "people open their cards again",
}
NEVER_USED = {
    "agent_uses", "channels", "citations", "deliveries", "event_streams", "events_read", "events_waiting", "federated",
    "history", "looks", "push_devices", "use_days", "uses_read",
}  # fmt: skip
"""Tables of which this life has no row: `test_altered_registers` and `test_register_histories` have some."""


class History(NamedTuple):
    """A life, and the rows of its registers before the copy and over it, by table."""

    life: Life
    before: dict[str, Counter[tuple[object, ...]]]
    after: dict[str, Counter[tuple[object, ...]]]


pytestmark = pytest.mark.requirement("SEAM-05")


def copied(registers: Path, copy: Path) -> None:
    """As SQLite copies a database that is in use."""
    with closing(sqlite3.connect(registers)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def tables(registers: Path) -> dict[str, Counter[tuple[object, ...]]]:
    """The rows of every table, but for what is a file's or a process's own."""
    found = {}
    with closing(sqlite3.connect(registers)) as source:
        names = source.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        )
        for (name,) in names.fetchall():
            rows = source.execute(f"SELECT * FROM {name}")
            left_out = {*OF_THE_FILE, *OWN.get(name, ())}
            columns = [number for number, column in enumerate(rows.description) if column[0] not in left_out]
            found[name] = Counter(tuple(row[number] for number in columns) for row in rows.fetchall())
    return found


@pytest.fixture(scope="module")
def history() -> Iterator[History]:
    with life() as one:
        registers, older = one.home.data / "answerable.db", one.root / "older.db"
        begin(one)
        copied(registers, older)
        finish(one)
        each(one, lambda row: still(one, row))
        one.stop()
        before = tables(registers)
        for name in ("answerable.db-wal", "answerable.db-shm"):
            (one.home.data / name).unlink(missing_ok=True)
        registers.write_bytes(older.read_bytes())
        one.start()
        one.stop()
        after = tables(registers)
        one.start()
        yield History(one, before, after)


@pytest.fixture(scope="module")
def lived(history: History) -> Life:
    return history.life


@column("older copy")
def test_an_older_copy_of_the_registers_undoes_nothing(lived: Life, row: Feature):
    still(lived, row)


@pytest.mark.requirement("PROJECT-35")
def test_every_register_is_over_an_older_copy_what_it_would_be_without(history: History):
    before, after = history.before, history.after
    assert before.keys() == after.keys()
    other = {name: (before[name] - after[name], after[name] - before[name]) for name in before}
    assert {name: found for name, found in other.items() if any(found) and name not in MAY_DIFFER} == {}
    assert {name for name in before if not before[name]} == NEVER_USED
