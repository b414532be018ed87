"""Clock: an hour back and a day ahead, while the server runs and while it is down. Nothing that ended lives again."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.seams.feature import Feature
from tests.seams.features import FEATURES, column, look, prepare, still
from tests.seams.life import Life, life

pytestmark = [
    pytest.mark.requirement("SEAM-07"),
    pytest.mark.skipif(sys.platform != "linux", reason="libfaketime is loaded as Linux loads libraries"),
]
HOUR = 3_600
DAY = 24 * HOUR


@pytest.fixture(scope="module")
def lived() -> Iterator[Life]:
    """seen: what every row was answered while the clock was wrong, by how it was."""
    with life(clock=True) as one:
        assert one.wall is not None
        prepare(one)
        for name, seconds in (("an hour back", -HOUR), ("a day ahead", DAY)):
            one.wall.set(seconds)
            note(one, name)
            one.wall.set(0)
        for name, seconds in (("an hour back, from its start", -HOUR), ("a day ahead, from its start", DAY)):
            one.stop()
            one.wall.set(seconds)
            one.start()
            note(one, name)
        one.stop()
        one.wall.set(0)
        one.start()
        yield one


def note(one: Life, when: str) -> None:
    for row in FEATURES:
        if row.name not in one.faults:
            try:
                seen = look(one, row)
            except AssertionError as refused:
                # What is not answered at such a time gives nobody anything.
                seen = {"refused": str(refused)}
            one.kept[row.name][when] = seen


@column("clock")
def test_what_ended_stays_ended_whatever_the_clock_says(lived: Life, row: Feature):
    ended = {name for name, holds in row.holds.items() if holds != "ok"}
    for when, seen in lived.kept[row.name].items():
        if when.startswith(("an hour", "a day")):
            assert not [name for name in ended if seen.get(name) == "ok"], (when, seen)
    still(lived, row)
