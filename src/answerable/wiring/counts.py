"""Keep the counts beside the log: used budgets, the histories of trackers, the figures of statistics."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from answerable.errors import Unavailable
from answerable.flows.approval.keep_figures import keep_figures, read_figures
from answerable.flows.counters.keep_history import keep_history, read_unread_history
from answerable.flows.recording.rounds import until_round

if TYPE_CHECKING:
    from answerable.wiring.walk import Walk

FIGURES_SECONDS: Final = 1.0
"""Interval at which new entries are counted."""
FIGURES_TURN_SECONDS: Final = 0.5
BEHIND_ENTRIES: Final = 4_096
BEHIND_SECONDS: Final = 0.05
"""Pause before the next turn while many entries are still unread."""
UNREAD_SECONDS: Final = 0.05
"""Interval at which tracker history is read for trackers that another process put into force."""

_log: Final = logging.getLogger(__name__)


async def keep_counts(walk: Walk) -> None:
    """Store the counts. A register that accepts no writes, on a full disk for example, ends nothing: the next start
    counts again."""
    try:
        walk.recorder.intents.keep_budgets()
        await keep_history(walk.recorder.ledger, walk.authority.mandates, walk.counters, walk.clock)
        await keep_figures(walk.recorder.ledger, walk.asking.figures, walk.clock)
    except Unavailable as failed:
        _log.warning("used budgets and histories cannot be stored now: %s", failed.message)


async def reading_histories(walk: Walk) -> None:
    """Until cancelled, read the history for trackers that another process put into force: until then their values are
    unknown and refuse actions."""
    while True:
        await anyio.sleep(UNREAD_SECONDS)
        try:
            await read_unread_history(walk.recorder, walk.authority, walk.counters.history, walk.limits)
        except Unavailable as failed:
            _log.warning("entries for new trackers cannot be read now: %s", failed.message)


async def counting_figures(walk: Walk) -> None:
    """Until cancelled, count new entries. Only reports depend on it: an unresponsive register ends nothing."""
    while True:
        try:
            figures = await read_figures(walk.recorder, walk.asking.figures, seconds_max=FIGURES_TURN_SECONDS)
        except Unavailable as failed:
            _log.warning("figures cannot be counted now: %s", failed.message)
            figures = None
        behind = figures is not None and figures.entries < walk.recorder.ledger.size - BEHIND_ENTRIES
        await anyio.sleep(BEHIND_SECONDS if behind else until_round(FIGURES_SECONDS))
