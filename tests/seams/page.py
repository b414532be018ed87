"""The grid as the page `docs/explanation/seams.md` shows it. `python -m tests.seams.page` prints it."""

from __future__ import annotations

from tests.seams.features import FEATURES
from tests.seams.grid import COLUMNS, LATER, LEFT_OUT, WAITING


def cell(column: str, row: str, cannot: dict[str, str]) -> str:
    if column in cannot:
        return "cannot"
    return "later" if (column, row) in LATER or (column, row) in WAITING else "holds"


def drawn() -> str:
    """The columns, the grid, and below it why cells and columns are not tested and which do not hold yet."""
    lines = [
        "| column | what is done |",
        "|---|---|",
        *(f"| {name} | {done} |" for name, done in COLUMNS.items()),
        "",
    ]
    lines += [f"| feature | {' | '.join(COLUMNS)} |", f"|---{'|---' * len(COLUMNS)}|"]
    for row in FEATURES:
        cells = (cell(column, row.name, dict(row.cannot)) for column in COLUMNS)
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    reasons = [(row.name, column, why) for row in FEATURES for column, why in row.cannot.items()]
    later = [(row, column, why) for (column, row), why in (*WAITING.items(), *LATER.items())]
    for title, found in (("Cells that cannot apply:", reasons), ("Cells that do not hold yet:", later)):
        if found:
            lines += ["", title, "", *(f"- {row}, {column}: {why}" for row, column, why in sorted(found))]
    lines += [
        "",
        "Columns that are not tested here:",
        "",
        *(f"- {name}: {why}" for name, why in LEFT_OUT.items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(drawn(), end="")
