"""Keep the counts beside the log: used budgets, the histories of trackers, the figures of statistics."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread

from answerable.errors import AnswerableError, Unavailable
from answerable.flows.approval.keep_figures import keep_figures, read_figures, traced_here
from answerable.flows.counters.keep_history import keep_history, read_unread_history
from answerable.flows.recording.rounds import until_round

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.decision.history import History
    from answerable.flows.state.figures_desk import StatisticsState
    from answerable.flows.state.parts import AuthorityRegisters, Counters, Recorder
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.mandate_register import MandateRegister
    from answerable.ports.search_process import Searches, Traced

FIGURES_SECONDS: Final = 1.0
"""Interval at which new entries are counted."""
FIGURES_TURN_SECONDS: Final = 0.5
BEHIND_ENTRIES: Final = 4_096
BEHIND_SECONDS: Final = 0.05
"""Pause before the next turn while many entries are still unread."""
UNREAD_SECONDS: Final = 0.05
"""Interval at which tracker history is read for trackers that another process put into force."""

TRACE_SECONDS_MAX: Final = 2.0
"""How long a sample of effects waits for the process that answers searches."""

_log: Final = logging.getLogger(__name__)


async def keep_counts(
    recorder: Recorder, mandates: MandateRegister, counters: Counters, figures: StatisticsState
) -> None:
    """Store the counts. A register that accepts no writes, on a full disk for example, ends nothing: the next start
    counts again."""
    try:
        recorder.intents.keep_budgets()
        await keep_history(recorder.ledger, mandates, counters, recorder.clock)
        await keep_figures(recorder.ledger, figures, recorder.clock)
    except Unavailable as failed:
        _log.warning("used budgets and histories cannot be stored now: %s", failed.message)


async def reading_histories(
    recorder: Recorder, authority: AuthorityRegisters, history: History, limits: WalkLimits
) -> None:
    """Until cancelled, read the history for trackers that another process put into force: until then their values are
    unknown and refuse actions."""
    while True:
        await anyio.sleep(UNREAD_SECONDS)
        try:
            await read_unread_history(recorder, authority, history, limits)
        except Unavailable as failed:
            _log.warning("entries for new trackers cannot be read now: %s", failed.message)


async def trace_elsewhere(searches: Searches, recorder: Recorder, ends: Sequence[int]) -> Sequence[Traced]:
    """Trace effects in the process that answers searches; where that cannot, in a thread. Raises Unavailable."""
    with anyio.move_on_after(TRACE_SECONDS_MAX):
        try:
            return (await searches.trace(ends)).items
        except AnswerableError as failed:
            _log.debug("effects are traced in a thread: %s", failed.message)
    return await to_thread.run_sync(traced_here, recorder, ends)


async def counting_figures(recorder: Recorder, figures: StatisticsState, searches: Searches) -> None:
    """Until cancelled, count new entries. Only reports depend on it: an unresponsive register ends nothing."""
    figures.trace = partial(trace_elsewhere, searches, recorder)
    while True:
        try:
            found = await read_figures(recorder, figures, seconds_max=FIGURES_TURN_SECONDS)
        except Unavailable as failed:
            _log.warning("figures cannot be counted now: %s", failed.message)
            found = None
        behind = found is not None and found.entries < recorder.ledger.size - BEHIND_ENTRIES
        await anyio.sleep(BEHIND_SECONDS if behind else until_round(FIGURES_SECONDS))
