"""What is counted of actions, kept beside the log: used budgets and the histories of trackers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from answerable.errors import Unavailable
from answerable.flows.keep_budgets import keep_budgets
from answerable.flows.keep_history import keep_history, read_unread_history

if TYPE_CHECKING:
    from answerable.flows.walk import Walk

UNREAD_SECONDS: Final = 0.05
"""How soon it is begun to read what trackers look at that another process put into force."""

_log: Final = logging.getLogger(__name__)


async def keep_counts(walk: Walk) -> None:
    """A register that takes nothing, on a full disk for one, ends nothing: what is not kept the next start counts."""
    try:
        keep_budgets(walk)
        await keep_history(walk)
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
