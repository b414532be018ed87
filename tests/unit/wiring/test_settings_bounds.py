"""A number in a settings file has the bounds that the reference states: both are taken, and nothing beyond them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from answerable.wiring.settings import parse_settings

FILES_READ = ("docs/reference/settings.md",)
PAGE = Path(__file__).parents[3] / "docs/reference/settings.md"


class Bounds(NamedTuple):
    """Of one setting, as the page writes them."""

    key: str
    least: str
    most: str

    @property
    def beyond(self) -> tuple[str, str]:
        if "." in self.least + self.most:
            return f"{float(self.least) - 0.001:.3f}", f"{float(self.most) + 0.001:.3f}"
        return str(int(self.least) - 1), str(int(self.most) + 1)


def bounds() -> dict[str, list[Bounds]]:
    """All of the page, by table of the file."""
    found: dict[str, list[Bounds]] = {}
    table = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## ["):
            table = line.removeprefix("## [").removesuffix("]")
        elif stated := re.match(r"\| `(\w+)` \| [^|]+ \| [^|]+ \| (\S+) to (\S+) \|", line):
            found.setdefault(table, []).append(Bounds(*stated.groups()))
    return found


@pytest.mark.parametrize(("table", "rows"), bounds().items(), ids=bounds())
def test_the_bounds_of_the_reference_are_those_of_the_file(
    tmp_path: Path, table: str, rows: list[Bounds]
) -> None:
    def is_beyond(one: Bounds, value: str) -> bool:
        _, faults = parse_settings(f"[{table}]\n{one.key} = {value}\n".encode(), data=tmp_path)
        return f"expected {one.least} to {one.most} " in "".join(
            fault.message for fault in faults if fault.key == f"{table}.{one.key}"
        )

    for one in rows:
        told = [is_beyond(one, value) for value in (*one.beyond, one.least, one.most)]
        assert told == [True, True, False, False], one.key


def test_the_reference_states_bounds_of_many_settings() -> None:
    assert sum(map(len, bounds().values())) > 100
