"""Clock: an hour back and a day ahead, while the server runs and at a start. Nothing that ended lives again."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from answerable.sdk.keyfile import create_key
from tests.seams.feature import Feature
from tests.seams.features import FEATURES, column, look, prepare
from tests.seams.life import Life, life

pytestmark = pytest.mark.requirement("SEAM-07")
HOUR = 3_600
DAY = 24 * HOUR


@pytest.fixture(scope="module")
def lived() -> Iterator[Life]:
    """wrong: what every row was answered while the clock was wrong, by how it was."""
    with life(clock=True) as one:
        prepare(one)
        for row in FEATURES:
            one.kept[row.name]["wrong"] = {}
        for when, seconds in (("an hour back", -HOUR), ("a day ahead", DAY)):
            one.turn(seconds)
            note(one, when)
            one.turn(0)
        for when, seconds in (("an hour back at a start", -HOUR), ("a day ahead at a start", DAY)):
            one.stop()
            one.turn(seconds)
            one.start()
            note(one, when)
            one.turn(0)
        yield one


def note(one: Life, when: str) -> None:
    for row in FEATURES:
        try:
            seen = look(one, row)
        except AssertionError as refused:
            # What is not answered at such a time gives nobody anything.
            seen = {"refused": str(refused)}
        one.kept[row.name]["wrong"][when] = seen


@column("clock")
def test_what_ended_stays_ended_whatever_the_clock_says(lived: Life, row: Feature):
    ended = [name for name, holds in row.holds.items() if holds != "ok"]
    for when, seen in lived.kept[row.name]["wrong"].items():
        assert not [name for name in ended if seen.get(name) == "ok"], (when, seen)
    said = look(lived, row)
    assert said.keys() == row.holds.keys()
    for name, holds in row.holds.items():
        assert said[name] in (holds, row.aged.get(name)), row.claim


def test_whoever_ran_out_by_a_clock_that_was_ahead_enrols_again(lived: Life):
    """Under another name, and with another key, where a server noticed that it had run out."""
    if lived.reads("scout", lived.kept["instance and manifest"]["mandate"]) == "ok":
        return
    create_key(lived.root / "scout-again.jwk", seed=os.urandom(32))
    lived.enrolled("scout-again")
    assert lived.reads("scout-again", lived.kept["instance and manifest"]["mandate"]) == "ok"
