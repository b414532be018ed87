"""Count the oversight figures of this log from where counting stopped, in short turns so that actions continue
meanwhile.

The log entries are the record. The stored figures are a state up to an entry on stable storage. If that state is
missing, has another form, or covers more entries than the log has, the log is counted from its first entry again.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio
import anyio.to_thread
import msgspec

from answerable.core.ledger.approval_statistics import Figures, restored
from answerable.flows.forensics.trace_to_person import traced

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from answerable.flows.state.figures_desk import StatisticsState
    from answerable.flows.state.parts import Recorder
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger
    from answerable.ports.search_process import Traced

FORM: Final = 2
"""Version of the stored form. Raise it when counting changes: figures stored in another form are counted again."""
TURN_SECONDS: Final = 0.001
"""Longest work at once, before other tasks run."""
REST_SECONDS: Final = 0.002
"""Pause between two turns, so that counting takes at most a third of a core."""
ENTRIES_PER_LOOK: Final = 64
TRACED_PER_PAGE_MAX: Final = 10
PAGE_ENTRIES: Final = 1_024
"""Of the effects in a page of this many entries, or fewer, at most `TRACED_PER_PAGE_MAX` are traced."""
TRACED_PER_HOUR_MAX: Final = 600
TRACED_AT_ONCE_MAX: Final = 100
"""Most traces saved up from the hourly allowance. A page may be what arrived within a second: without an hourly limit,
sampling would cost most when there are many actions."""
Elsewhere: TypeAlias = "Callable[[Callable[[], None]], Awaitable[None]]"


async def read_figures(recorder: Recorder, statistics: StatisticsState, *, seconds_max: float) -> Figures:
    """Count the new entries of the log for at most `seconds_max`, and trace a sample of their effects.

    Raises Unavailable, and Broken (`ledger.*`).
    """
    desk = statistics
    async with desk.reading:
        figures = desk.figures
        if figures is None:
            figures = desk.figures = _restored(recorder.ledger, statistics)
        ends_at = recorder.clock.monotonic() + seconds_max
        while figures.entries < recorder.ledger.size:
            await _read_page(recorder.ledger, recorder.clock, figures, ends_at)
            await _trace_page(recorder, statistics, figures)
            if recorder.clock.monotonic() >= ends_at:
                break
        return figures


async def keep_figures(
    ledger: Ledger, figures: StatisticsState, clock: Clock, *, elsewhere: Elsewhere = anyio.to_thread.run_sync
) -> None:
    """Store the figures that changed. Raises Unavailable; figures that are not stored are counted again at the next
    start.

    elsewhere: runs a blocking disk write while actions continue.
    """
    desk, register = figures, figures.register
    if register is None or desk.figures is None:
        return
    async with desk.keeping:
        # Take one consistent state: there is no await between these reads.
        now, entries, changed = clock.now(), desk.figures.entries, desk.figures.take_changed()
        keep = partial(
            register.keep,
            ledger.origin,
            changed,
            entries=entries,
            form=FORM,
            at=now,
            beside=msgspec.json.encode(desk.latency),
            anew=desk.anew,
        )
        try:
            await elsewhere(keep)
        except BaseException:
            desk.figures.put_back(changed)
            raise
        desk.anew, desk.kept_at = False, now


def _restored(ledger: Ledger, figures: StatisticsState) -> Figures:
    desk = figures
    kept = desk.register.kept(ledger.origin) if desk.register is not None else None
    found = None
    if kept is not None and kept.form == FORM and kept.entries <= ledger.size:
        found = restored(kept.rows, kept.entries)
    desk.anew = found is None
    return found or Figures()


async def _read_page(ledger: Ledger, clock: Clock, figures: Figures, ends_at: float) -> None:
    """Read up to PAGE_ENTRIES entries, with a pause after each turn. Read to the end of the page unless time is up, so
    that the sample is of the whole page."""
    last = min(ledger.size, figures.entries + PAGE_ENTRIES) - 1
    rests_at = clock.monotonic() + TURN_SECONDS
    for number, stored in enumerate(ledger.replay(figures.entries)):
        figures.fold(stored, ledger.entry)
        if stored.index >= last:
            return
        if number % ENTRIES_PER_LOOK == ENTRIES_PER_LOOK - 1 and clock.monotonic() >= rests_at:
            if clock.monotonic() >= ends_at:
                return
            await anyio.sleep(REST_SECONDS)
            rests_at = clock.monotonic() + TURN_SECONDS


async def _trace_page(recorder: Recorder, statistics: StatisticsState, figures: Figures) -> None:
    """Trace as many effects of a page as allowed, evenly spread; all of them where they are few."""
    effects, figures.effects = figures.effects, []
    most = min(TRACED_PER_PAGE_MAX, _traces_left(statistics, recorder.clock))
    if not most:
        return
    sample = effects[:: max(1, -(-len(effects) // most))]
    statistics.traces_left -= len(sample)
    ends = [effect.entry for effect in sample]
    if not ends:
        return
    found = await statistics.trace(ends) if statistics.trace is not None else traced_here(recorder, ends)
    for effect, one in zip(sample, found, strict=True):
        figures.was_traced(effect, found=one.found, micros=one.micros)


def traced_here(recorder: Recorder, ends: Sequence[int]) -> list[Traced]:
    """Trace effects in this process. ends: the entries that record them. Raises Unavailable."""
    find, monotonic = recorder.subject_keys.find, recorder.clock.monotonic
    return [traced(recorder.ledger, find, one, monotonic=monotonic) for one in ends]


def _traces_left(figures: StatisticsState, clock: Clock) -> int:
    desk, now = figures, clock.monotonic()
    more = (now - desk.traces_at) * TRACED_PER_HOUR_MAX / 3_600
    desk.traces_left, desk.traces_at = min(TRACED_AT_ONCE_MAX, desk.traces_left + more), now
    return int(desk.traces_left)
