"""What stops, beside the doors: holds cut what is open, their reports are written down, what rules tripped is placed,
and the panic button of the data directory, pressed without a server, is seen by each that runs and by each that
starts."""

from __future__ import annotations

import logging
import os
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from answerable.adapters import panic_file
from answerable.adapters.system import SystemEntropy
from answerable.core.containment.press import FILE
from answerable.core.ledger.subject import LOG_SUBJECT
from answerable.errors import AnswerableError, Unavailable
from answerable.errors.codes.containment import PANIC_NOT_HELD
from answerable.flows.containment.follow_holds import follow_holds
from answerable.flows.containment.trigger_emergency_stop import trigger_emergency_stop
from answerable.flows.counters.recall_rules import restore_rules
from answerable.flows.drills.report_containment import follow_reports
from answerable.flows.policy.place_triggered_holds import follow_rules, name_rules
from answerable.flows.recording.record_entry import pseudonym_of, sealing_for
from answerable.flows.revocation.close_mandate import closed_wholly
from answerable.flows.revocation.end_without_room import follow_room
from answerable.flows.revocation.place_hold import carry_out
from answerable.flows.revocation.revoke_authority import revoked_wholly

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.adapters.sqlite import SqliteStore
    from answerable.core.containment.press import Press
    from answerable.flows.state.walk import Walk
    from answerable.flows.trust_domain.workloads import Workloads

LOOK_SECONDS: Final = 0.05
"""How often a running server looks where the system does not tell it, and while the button is pressed."""
REST_SECONDS: Final = 1.0
"""How often it looks though it would be told."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """how: it was done. now: the press that is there. is_again: another one was there before, whatever became of it."""

    how: str
    now: Press | None
    is_again: bool


def press(directory: Path, *, reason: str) -> Pressed:
    """Press. Raises as `panic_file.press`."""
    before = panic_file.pressed(directory)
    how = panic_file.press(directory, reason=reason, entropy=SystemEntropy())
    return Pressed(how=how, now=panic_file.pressed(directory), is_again=before is not None)


async def hold_if_pressed(walk: Walk, directory: Path, workloads: Workloads | None) -> None:
    """Before any door opens. Raises Unavailable: then none does."""
    found = panic_file.pressed(directory)
    if found is not None:
        await _held(walk, found, workloads)
    panic_file.keep_ready(directory, SystemEntropy())


def recover_rules(walk: Walk) -> None:
    """Before any door opens, and once the registers know all holds: what was too much when the process ended is held.

    Raises Unavailable, and Broken (`ledger.*`).
    """
    held = restore_rules(walk)
    if held:
        _log.warning("%d limits of stop rules had been passed and nothing was held for it: it is now", held)


async def ready_for_a_full_disk(walk: Walk, store: SqliteStore) -> None:
    """Before any door opens: whether the registers can be written is known, and who may stop something can be named,
    person or rule, which takes a key of theirs and one of the log's."""
    await anyio.to_thread.run_sync(store.look_for_room)
    with suppress(Unavailable):
        sealing_for(walk, LOG_SUBJECT)
        pseudonym_of(walk, f"uid:{os.geteuid()}")
    await anyio.to_thread.run_sync(name_rules, walk, walk.registry.current)


async def following_stops(walk: Walk, directory: Path, workloads: Workloads | None) -> None:
    """For ever. Raises as `following_panic`."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow_holds, walk)
        tasks.start_soon(follow_rules, walk, workloads)
        tasks.start_soon(following_panic, walk, directory, workloads)
        tasks.start_soon(partial(follow_reports, walk, workloads=workloads))
        tasks.start_soon(
            partial(
                follow_room,
                walk,
                held=lambda hold: carry_out(walk, hold, (), workloads=workloads),
                revoked=lambda what: revoked_wholly(walk, what, workloads),
                closed=partial(closed_wholly, walk),
            )
        )


async def following_panic(
    walk: Walk, directory: Path, workloads: Workloads | None, *, rest_seconds: float = REST_SECONDS
) -> None:
    """For ever: see whether somebody has pressed. rest_seconds: between two looks that nothing asks for.

    Raises Unavailable (`panic.not_held`) where everything cannot be held: the process must end then, which stops
    everything too.
    """
    seen = ""
    with closing(panic_file.PressWatch(directory)) as watch:
        while True:
            # In this order: what is pressed after the look is told. What is written into a press is not.
            is_told = watch.tells()
            found = panic_file.pressed(directory)
            if found is not None and found.id != seen:
                await _held(walk, found, workloads)
                seen = found.id
            rests = is_told and found is None
            await watch.news(seconds_max=rest_seconds if rests else LOOK_SECONDS)


async def _held(walk: Walk, found: Press, workloads: Workloads | None) -> None:
    try:
        placed = await trigger_emergency_stop(walk, found, workloads)
    except AnswerableError as failed:
        # Of this press: another hold on everything may end before people have looked at this one.
        if not any(one.source == "panic" and found.is_held_by(one.rule, one.at) for one in walk.holds.all()):
            raise PANIC_NOT_HELD(
                f"`{FILE}` was pressed and everything cannot be held: {failed.message}"
            ) from failed
        _log.warning("everything is held, and not all that follows is done yet: %s", failed.message)
        return
    if placed is not None:
        _log.warning(
            "`%s` was pressed by %s: everything is held (%s) until people lift it",
            FILE,
            found.by,
            placed.hold.id,
        )
