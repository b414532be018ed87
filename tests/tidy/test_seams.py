"""Every feature has its row in the grid of `tests/seams`, every row a cell in each column, and the page shows them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from importlib import import_module

from answerable.core.ledger.tags import Tag
from tests.tidy.tree import ROOT, modules

# By name: types are checked in this folder and not in that of the rows.
FEATURES = import_module("tests.seams.features").FEATURES
GRID = import_module("tests.seams.grid")
COLUMNS, LATER, LEFT_OUT, WAITING = GRID.COLUMNS, GRID.LATER, GRID.LEFT_OUT, GRID.WAITING
PAGE = ROOT / "docs/explanation/seams.md"
TABLE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)")
NO_FEATURE = {"authority_changes", "migrations", "projections", "touched"}
"""Which migrations a file has had says nothing of authority; up to where registers are true, and who wrote them, is of
all of them."""
ADVICE = "name it in the row of tests/seams that it is part of, or give its feature a row"


def faults(what: str, there: Iterable[object], claimed: Iterable[object]) -> list[str]:
    """What no row claims, what several do, and what there is not."""
    there, counts = set(there), Counter(claimed)
    alone = [f"{what} {one} belongs to no row: {ADVICE}" for one in there - set(counts)]
    several = [f"{what} {one} belongs to several rows" for one, count in counts.items() if count > 1]
    return sorted(alone + several + [f"there is no {what} {one}" for one in set(counts) - there])


def test_every_tag_of_the_ledger_belongs_to_a_row():
    found = faults("tag", (one.name for one in Tag), (one.name for row in FEATURES for one in row.tags))
    assert not found, "\n".join(["", *found])


def test_every_table_of_a_register_belongs_to_a_row():
    there = {
        name for module in modules("src/answerable/adapters/sqlite") for name in TABLE.findall(module.text)
    }
    found = faults("table", there - NO_FEATURE, (one for row in FEATURES for one in row.tables))
    assert not found, "\n".join(["", *found])


def test_every_noun_of_the_command_line_belongs_to_a_row():
    pages = (ROOT / "docs/reference/cli.md").read_text()
    there = {name.split()[0] for name in re.findall(r"^## answerable (.+)$", pages, re.MULTILINE)}
    found = faults("noun", there, (one for row in FEATURES for one in row.nouns))
    assert not found, "\n".join(["", *found])


def test_what_cannot_apply_or_does_not_hold_yet_is_a_cell_with_a_sentence():
    cells = {(column, row.name) for column in COLUMNS for row in FEATURES}
    cannot = {(column, row.name): why for row in FEATURES for column, why in row.cannot.items()}
    assert not set(LEFT_OUT) & set(COLUMNS)
    for table in (cannot, LATER, WAITING):
        assert set(table) <= cells
    for table in (cannot, LATER, WAITING, LEFT_OUT):
        assert all(why.endswith(".") and len(why.split()) > 3 for why in table.values()), table
    assert not set(cannot) & (set(LATER) | set(WAITING))


def test_every_column_is_one_file_that_tests_each_of_its_cells():
    for column in COLUMNS:
        name = re.sub(r"\W+", "_", column)
        path = ROOT / f"tests/seams/test_{name}.py"
        assert path.exists(), f"column {column} has no file {path.name}"
        assert f'@column("{column}")' in path.read_text(), f"{path.name} tests no cells of column {column}"


def test_the_page_shows_the_grid():
    drawn = import_module("tests.seams.page").drawn()
    assert drawn in PAGE.read_text(), f"put this into {PAGE.name}:\n{drawn}"
