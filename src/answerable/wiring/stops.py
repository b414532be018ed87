"""Run containment beside the endpoints: cut held streams, record reports, place holds of tripped stop rules, and watch
the panic file of the data directory.

The panic file can be written without a server; every running and every starting server reads it.
"""

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
from answerable.flows.recording.rounds import until_round
from answerable.flows.revocation.close_mandate import closed_wholly
from answerable.flows.revocation.end_without_room import follow_room
from answerable.flows.revocation.place_hold import carry_out
from answerable.flows.revocation.revoke_authority import revoked_wholly

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.adapters.sqlite import SqliteStore
    from answerable.core.containment.hold import HoldId
    from answerable.core.containment.press import Press
    from answerable.flows.state.parts import AuthorityRegisters, Counters, LiveAccess, Recorder
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.ports.hold_register import HoldRegister
    from answerable.ports.registry_store import RegistryStore

LOOK_SECONDS: Final = 0.05
"""Interval of checks of the panic file where the system does not signal changes, and while it is present."""
SETTLE_SECONDS: Final = 0.01
"""How long a press that the product did not write is looked at again for: `touch` makes the file, and then dates it."""
REST_SECONDS: Final = 1.0
"""Interval of checks although changes are signalled."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """Result of a press. how: how the press was made. now: the present press. is_again: whether another press was there
    before, whatever its state."""

    how: str
    now: Press | None
    is_again: bool


def press(directory: Path, *, reason: str) -> Pressed:
    """Press the panic button. Raises as `panic_file.press`."""
    before = panic_file.pressed(directory)
    how = panic_file.press(directory, reason=reason, entropy=SystemEntropy())
    return Pressed(how=how, now=panic_file.pressed(directory), is_again=before is not None)


async def hold_if_pressed(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    cuts: dict[HoldId, int],
    directory: Path,
    workloads: Workloads | None,
) -> None:
    """Hold everything if the panic button was pressed, before any listener opens. Raises Unavailable: then no listener
    opens."""
    found = panic_file.pressed(directory)
    if found is not None:
        await _held(recorder, authority, live, cuts, found, workloads)
    panic_file.keep_ready(directory, SystemEntropy())


def recover_rules(
    recorder: Recorder, authority: AuthorityRegisters, counters: Counters, limits: WalkLimits
) -> None:
    """Place the holds of stop rules that were passed when the process ended, before any listener opens and once the
    registers know all holds.

    Raises Unavailable, and Broken (`ledger.*`).
    """
    held = restore_rules(recorder, authority, counters, limits)
    if held:
        _log.warning(
            "%d limits of stop rules had been passed without a hold: the holds were placed now", held
        )


async def ready_for_a_full_disk(recorder: Recorder, registry: RegistryStore, store: SqliteStore) -> None:
    """Prepare for a full disk before any listener opens: check whether the registers can be written, and create the
    keys with which the log names people or rules that stop something."""
    await anyio.to_thread.run_sync(store.look_for_room)
    with suppress(Unavailable):
        sealing_for(recorder, LOG_SUBJECT)
        pseudonym_of(recorder, f"uid:{os.geteuid()}")
    await anyio.to_thread.run_sync(name_rules, recorder, registry.current)


async def following_stops(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    counters: Counters,
    limits: WalkLimits,
    directory: Path,
    workloads: Workloads | None,
) -> None:
    """Run all followers forever. Raises as `following_panic`."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow_holds, recorder.open_intents, authority, live, counters.cuts)
        tasks.start_soon(follow_rules, recorder, authority, live, counters, workloads)
        tasks.start_soon(following_panic, recorder, authority, live, counters.cuts, directory, workloads)
        tasks.start_soon(
            partial(
                follow_reports,
                recorder,
                authority,
                live,
                counters.cuts,
                limits,
                workloads=workloads,
            )
        )
        tasks.start_soon(
            partial(
                follow_room,
                authority.room,
                held=lambda hold: carry_out(
                    recorder,
                    authority,
                    live,
                    counters.cuts,
                    hold,
                    (),
                    workloads=workloads,
                ),
                revoked=lambda what: revoked_wholly(recorder, authority, live, what, workloads),
                closed=partial(closed_wholly, authority, live),
            )
        )


async def following_panic(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    cuts: dict[HoldId, int],
    directory: Path,
    workloads: Workloads | None,
    *,
    rest_seconds: float = REST_SECONDS,
) -> None:
    """Watch for presses, forever. rest_seconds: interval between two checks without a signal. What is still done to a
    file by whoever creates it is the press that is held; after a lift it holds again.

    Raises Unavailable (`panic.not_held`) if everything cannot be held: the process must end then, which stops
    everything, too.
    """
    seen, held = "", None
    with closing(panic_file.PressWatch(directory)) as watch:
        while True:
            # Register before reading: a press after the read is then signalled. Writing into an existing press is not.
            is_told = watch.tells()
            look = watch.look(partial(panic_file.pressed, directory))
            found, is_placed = look.found, False
            if found is not None and found.id != seen:
                if held is None or not (look.is_finishing and await _is_in_force(authority.holds, held)):
                    held = found = await _settled(directory, found)
                    # Another process may have been first, and the file may be dated since.
                    is_placed = await _held(
                        recorder, authority, live, cuts, found, workloads
                    ) or await _is_in_force(authority.holds, found)
                seen = found.id
            if look.is_made and not is_placed:
                # It may be gone again, or have the name of a press of old.
                await _held(
                    recorder,
                    authority,
                    live,
                    cuts,
                    panic_file.made(directory, now=recorder.clock.now()),
                    workloads,
                )
            rests = is_told and found is None
            await watch.news(seconds_max=until_round(rest_seconds) if rests else LOOK_SECONDS)


async def _is_in_force(holds: HoldRegister, press: Press) -> bool:
    """Whether the hold of a press whose file nobody else changed is in force."""
    known = await anyio.to_thread.run_sync(holds.all)
    return press.is_as_made and any(one.id == press.hold and not one.lifted_at for one in known)


async def _settled(directory: Path, found: Press) -> Press:
    """Return the press as whoever makes it leaves it, or as it was found if it is gone by then: two looks at one press
    would hold twice. A press of the product is whole when it has its name."""
    if found.told:
        return found
    await anyio.sleep(SETTLE_SECONDS)
    return panic_file.pressed(directory) or found


async def _held(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    cuts: dict[HoldId, int],
    found: Press,
    workloads: Workloads | None,
) -> bool:
    """Hold everything for this press; return whether it had no hold before. Raises Unavailable (`panic.not_held`)."""
    try:
        placed = await trigger_emergency_stop(recorder, authority, live, cuts, found, workloads)
    except AnswerableError as failed:
        # The hold must be of this press: another hold on everything may be lifted before people have looked at this
        # one.
        if not any(
            one.source == "panic" and found.is_held_by(one.rule, one.at) for one in authority.holds.all()
        ):
            raise PANIC_NOT_HELD(
                f"`{FILE}` exists, and the hold on everything cannot be placed: {failed.message}"
            ) from failed
        _log.warning(
            "everything is held, but some effects of the hold are not complete yet: %s", failed.message
        )
        return True
    if placed is not None:
        _log.warning(
            "`%s` was pressed by %s: everything is held (%s) until people lift it",
            FILE,
            found.by,
            placed.hold.id,
        )
    return placed is not None
