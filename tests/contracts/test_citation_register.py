"""Where statements stand, in SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteCitationRegister, SqliteStore
from answerable.core.ledger.leaves import Reference
from answerable.ports.citation_register import CitationRegister

pytestmark = pytest.mark.requirement("CITED-01")

HERE, THERE = "log.example/a", "log.example/b"
HOP, MANDATE = ("hop", "ab" * 32), ("mandate", "m-1")


def opened(place: Path) -> CitationRegister:
    return SqliteCitationRegister(SqliteStore.open(place / "registers.db"))


def at(entry: int) -> Reference:
    return Reference(entry=entry, leaf=f"{entry:064x}")


def test_what_was_kept_is_found_by_log_and_name_and_by_nothing_else(tmp_path: Path) -> None:
    register = opened(tmp_path)
    assert (register.find(HERE, HOP), register.kept_to(HERE)) == (None, 0)
    register.keep(HERE, {HOP: at(3), MANDATE: at(4)}, 7)
    assert (register.find(HERE, HOP), register.find(HERE, MANDATE)) == (at(3), at(4))
    assert (
        register.find(THERE, HOP)
        is register.find(HERE, ("hop", "m-1"))
        is register.find(HERE, ("mandate", HOP[1]))
        is None
    )
    assert (register.kept_to(HERE), register.kept_to(THERE)) == (7, 0)


def test_what_is_kept_again_takes_the_place_of_what_was(tmp_path: Path) -> None:
    register = opened(tmp_path)
    register.keep(HERE, {HOP: at(3)}, 7)
    register.keep(HERE, {HOP: at(9)}, 10)
    register.keep(HERE, {}, 5)
    assert (register.find(HERE, HOP), register.kept_to(HERE)) == (at(9), 5)


def test_sqlite_keeps_them_over_a_restart(tmp_path: Path) -> None:
    opened(tmp_path).keep(HERE, {HOP: at(3)}, 7)
    again = opened(tmp_path)
    assert (again.find(HERE, HOP), again.kept_to(HERE)) == (at(3), 7)
