"""The rows of the grid, once and in the order of the page that draws it, and what every column does with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.seams import rows_answers, rows_authority, rows_edited, rows_ends, rows_targets
from tests.seams.grid import LATER, WAITING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.seams.feature import Feature
    from tests.seams.life import Life

FEATURES: tuple[Feature, ...] = (
    *rows_authority.ROWS,
    *rows_edited.ROWS,
    *rows_targets.ROWS,
    *rows_answers.ROWS,
    *rows_ends.ROWS,
)


def column(name: str) -> pytest.MarkDecorator:
    """One test for each cell of a column. What is not so yet is a strict failure, with what mends it."""

    def cell(row: Feature) -> object:
        why = LATER.get((name, row.name)) or WAITING.get((name, row.name))
        marks = [pytest.mark.xfail(strict=True, reason=why)] if why else []
        return pytest.param(row, id=row.name.replace(" ", "-"), marks=marks)

    return pytest.mark.parametrize("row", [cell(one) for one in FEATURES if name not in one.cannot])


def each(life: Life, step: Callable[[Feature], object]) -> None:
    """This for every row; what goes wrong with one of them is a fault of its own, and of no other row."""
    for one in FEATURES:
        if one.name not in life.faults:
            try:
                step(one)
            except Exception as fault:
                life.faults[one.name] = fault


def begin(life: Life) -> None:
    each(life, lambda row: row.begin(life, life.kept.setdefault(row.name, {})))


def finish(life: Life) -> None:
    each(life, lambda row: row.finish(life, life.kept[row.name]))


def prepare(life: Life) -> None:
    """Everything that a row can do is done, and holds."""
    begin(life)
    finish(life)
    each(life, lambda row: still(life, row))


def look(life: Life, row: Feature) -> dict[str, str]:
    """What the doors of this life answer of a row."""
    if fault := life.faults.get(row.name):
        raise AssertionError(f"{row.name} did not come so far") from fault
    return row.look(life, life.kept[row.name])


def still(life: Life, row: Feature) -> None:
    """The claim of a row, at every question."""
    said = look(life, row)
    other = {
        name: f"{said.get(name)} and not {holds}"
        for name, holds in row.holds.items()
        if said.get(name) != holds
    }
    assert not other, f"{row.claim} But: {other}"
