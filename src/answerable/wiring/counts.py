"""What is counted of actions, kept beside the log: used budgets, the histories of trackers, the price of control."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from answerable.errors import Unavailable
from answerable.flows.approval.keep_figures import keep_figures, read_figures
from answerable.flows.counters.keep_budgets import keep_budgets
from answerable.flows.counters.keep_history import keep_history, read_unread_history

if TYPE_CHECKING:
    from answerable.flows.state.walk import Walk

FIGURES_SECONDS: Final = 1.0
"""How soon figures are of what was recorded."""
FIGURES_TURN_SECONDS: Final = 0.5
BEHIND_ENTRIES: Final = 4_096
BEHIND_SECONDS: Final = 0.05
"""Until the next turn, where so much is to be read yet."""
UNREAD_SECONDS: Final = 0.05
"""How soon it is begun to read what trackers look at that another process put into force."""

_log: Final = logging.getLogger(__name__)


async def keep_counts(walk: Walk) -> None:
    """A register that takes nothing, on a full disk for one, ends nothing: what is not kept the next start counts."""
    try:
        keep_budgets(walk)
        await keep_history(walk)
        await keep_figures(walk)
    except Unavailable as failed:
        _log.warning("used budgets and histories are not kept for now: %s", failed.message)


async def reading_histories(walk: Walk) -> None:
    """Until cancelled, read what trackers look at that another process put into force: until then it is not known, and
    refuses."""
    while True:
        await anyio.sleep(UNREAD_SECONDS)
        try:
            await read_unread_history(walk)
        except Unavailable as failed:
            _log.warning("what new trackers look at cannot be read for now: %s", failed.message)


async def counting_figures(walk: Walk) -> None:
    """Until cancelled, count what is recorded. Nothing depends on it but what is told: a register that does not answer
    ends nothing."""
    while True:
        try:
            figures = await read_figures(walk, seconds_max=FIGURES_TURN_SECONDS)
        except Unavailable as failed:
            _log.warning("figures are not counted for now: %s", failed.message)
            figures = None
        behind = figures is not None and figures.entries < walk.ledger.size - BEHIND_ENTRIES
        await anyio.sleep(BEHIND_SECONDS if behind else FIGURES_SECONDS)
