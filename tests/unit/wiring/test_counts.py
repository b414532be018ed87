"""A sample of effects is traced by the process that keeps the index, and where that cannot, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

import anyio
import pytest

from answerable.flows.approval import keep_figures
from answerable.flows.approval.keep_figures import read_figures
from answerable.ports.search_process import TraceAnswer, Traced
from answerable.testing.builders import Bench
from answerable.wiring import counts
from answerable.wiring.counts import trace_elsewhere
from tests.worlds.asked_index import IndexAtHand
from tests.worlds.figures import READ, ready
from tests.worlds.parts import NO_SEARCHES

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HOUSE-92")]


class Silent(IndexAtHand):
    """A process that does not answer."""

    async def trace(self, ends: Sequence[int]) -> TraceAnswer:
        await anyio.sleep_forever()
        raise AssertionError


async def acted() -> Bench:
    bench = await ready()
    for _ in range(3):
        await bench.act()
    return bench


async def test_the_process_traces_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = await acted()
    monkeypatch.setattr(counts, "traced_here", None)
    bench.asking.figures.trace = partial(trace_elsewhere, IndexAtHand(bench.recorder), bench.recorder)
    figures = await read_figures(bench.recorder, bench.asking.figures, seconds_max=60.0)
    cell = figures.within(0, bench.clock.now())[READ]
    assert (cell.traced, cell.untraced) == (3, 0)


@pytest.mark.parametrize("silent", [False, True])
async def test_where_it_does_not_a_thread_does(monkeypatch: pytest.MonkeyPatch, silent: bool) -> None:
    bench = await acted()
    monkeypatch.setattr(counts, "TRACE_SECONDS_MAX", 0.01)
    here, threads = keep_figures.traced_here, list[int]()

    def seen(recorder: object, ends: Sequence[int]) -> list[Traced]:
        threads.append(threading.get_ident())
        return here(bench.recorder, ends)

    monkeypatch.setattr(counts, "traced_here", seen)
    searches = Silent(bench.recorder) if silent else NO_SEARCHES
    ends = [one.index for one in bench.recorder.ledger.replay() if b'"status":"succeeded"' in one.leaf]
    found = await trace_elsewhere(searches, bench.recorder, ends)
    assert [one.found for one in found] == [True] * 3
    assert threads[0] != threading.get_ident()
