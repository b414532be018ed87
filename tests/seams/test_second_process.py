"""Second process: another one on the same data directory sees it at its next call, also if it slept meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.seams.feature import Feature
from tests.seams.features import begin, column, each, finish, still
from tests.seams.life import Life, life
from tests.seams.rows_answers import LARGE, paid

TRIES = 8
"""At each of the two processes."""


@pytest.fixture(scope="module")
def lived() -> Iterator[tuple[Life, Life]]:
    with life(shard="a") as one:
        other = one.beside("b")
        try:
            other.start()
            begin(one)
            # The other process has seen each mandate as it was before anything ended.
            each(one, lambda row: other.reads("worker", one.kept[row.name].get("mandate", "")))
            assert other.home.process is not None
            other.home.process.send_signal(signal.SIGSTOP)
            finish(one)
            other.home.process.send_signal(signal.SIGCONT)
            yield one, other
        finally:
            if other.home.process is not None:
                other.home.process.send_signal(signal.SIGCONT)
                other.stop(signal.SIGKILL)


@pytest.mark.requirement("SEAM-04")
@column("second process")
def test_a_process_that_slept_has_no_old_state(lived: tuple[Life, Life], row: Feature):
    one, other = lived
    still(other, row)
    still(one, row)


@pytest.mark.requirement("SEAM-04")
def test_what_may_happen_once_happens_once_however_many_processes_are_asked(lived: tuple[Life, Life]):
    mandate = lived[0].kept["approval"]["mandate"]
    with ThreadPoolExecutor(2 * TRIES) as pool:
        said = [
            pool.submit(one.pays, "worker", mandate, "ready", LARGE) for one in lived for _ in range(TRIES)
        ]
        codes = [one.result().code for one in said]
    assert codes.count("ok") == 1, codes
    assert paid(lived[0], "ready") == 1
