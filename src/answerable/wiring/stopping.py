"""Holds and stop rules beside the doors: what was counted before a start, and what is followed while we run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from answerable.flows.follow_holds import follow_holds
from answerable.flows.place_tripped import follow_rules
from answerable.flows.recall_rules import restore_rules

if TYPE_CHECKING:
    from answerable.flows.walk import Walk
    from answerable.flows.workloads import Workloads

_log: Final = logging.getLogger(__name__)


def recover_rules(walk: Walk) -> None:
    """Before any door opens, and once the registers know all holds: what was too much when the process ended is held.

    Raises Unavailable, and Broken (`ledger.*`).
    """
    held = restore_rules(walk)
    if held:
        _log.warning("%d limits of stop rules had been passed and nothing was held for it: it is now", held)


async def following_stops(walk: Walk, workloads: Workloads) -> None:
    """Until cancelled: cut what others held, and place what rules tripped."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow_holds, walk)
        tasks.start_soon(follow_rules, walk, workloads)
