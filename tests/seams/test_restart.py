"""Restart: stopped in order, asked by the command line alone, started again. Every row means the same."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from tests.seams.feature import Feature
from tests.seams.features import column, each, prepare, still
from tests.seams.life import Life, life

pytestmark = pytest.mark.requirement("SEAM-01", "SEAM-02")


@pytest.fixture(scope="module")
def lived() -> Iterator[Life]:
    """alone: what the command line said while nothing ran."""
    with life() as one:
        prepare(one)
        one.stop()
        each(one, lambda row: one.kept[row.name].update(alone=one.command(*words(one, row))))
        one.start()
        yield one


def words(one: Life, row: Feature) -> list[str]:
    return [
        word.format_map(one.kept[row.name])
        for word in shlex.split(row.asked[0].replace("{", "'{").replace("}", "}'"))
    ]


@column("restart")
def test_another_process_reads_back_what_was_so(lived: Life, row: Feature):
    still(lived, row)
    kept = lived.kept[row.name]
    assert row.asked[1].format_map(kept) in kept["alone"]
