"""Kill −9: the server is killed while every row is being written, again and again. Nothing is there by half."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from tests.seams.feature import Feature
from tests.seams.features import FEATURES, column, prepare, still
from tests.seams.life import Life, life

pytestmark = pytest.mark.requirement("SEAM-03")
KILLS = (12, 45, 90)
"""After so many writes that were acknowledged in a round, by all rows together."""
EACH_MAX = 12
"""Writes of a row in a round, so that quick ones leave room for slow ones."""


class Round:
    """Writers of every row at once, until the server is killed. said: what was acknowledged, by row and number; None
    where it was not."""

    def __init__(self, one: Life, first: int) -> None:
        self.life, self.first = one, first
        self.said: dict[str, dict[int, object]] = {row.name: {} for row in FEATURES}
        self.killed = threading.Event()
        self.acknowledged = threading.Semaphore(0)

    def writes(self, row: Feature) -> None:
        for number in range(self.first, self.first + EACH_MAX):
            if self.killed.is_set():
                # From here on the command line would work on the directory itself.
                return
            self.said[row.name][number] = None
            try:
                self.said[row.name][number] = row.write(self.life, self.life.kept[row.name], number)
            except Exception:
                # Whatever a client meets when its server is gone.
                return
            finally:
                self.acknowledged.release()

    def killed_after(self, count: int) -> None:
        threads = [threading.Thread(target=self.writes, args=(row,)) for row in FEATURES]
        for one in threads:
            one.start()
        for _ in range(count):
            assert self.acknowledged.acquire(timeout=60)
        self.killed.set()
        self.life.stop(signal.SIGKILL)
        for one in threads:
            one.join()


@pytest.fixture(scope="module")
def lived() -> Iterator[tuple[Life, list[Round]]]:
    with life() as one:
        prepare(one)
        rounds = []
        for number, count in enumerate(KILLS):
            rounds.append(Round(one, number * EACH_MAX))
            rounds[-1].killed_after(count)
            one.start()
        yield one, rounds


@column("kill −9")
def test_what_was_acknowledged_is_there_and_nothing_by_half(lived: tuple[Life, list[Round]], row: Feature):
    one, rounds = lived
    for said in rounds:
        for number, acknowledged in said.said[row.name].items():
            there = row.written(one, one.kept[row.name], number, acknowledged)
            assert there or acknowledged is None, (number, acknowledged)
    still(one, row)
