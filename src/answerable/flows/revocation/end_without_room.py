"""End authority while the registers cannot be written (disk full): in force in this process, and recorded in the ledger
if it has room.

Laws: while the registers cannot be written, no action begins in any process (`no_room`), because nobody could end it
for good. An end is in force at once in this process, and no other process begins an action. The ledger reserves room
for such entries, and a start restores the end from them. When the registers can be written again, the end is written to
them.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from answerable.errors import Refused, Unavailable
from answerable.errors.codes.ledger import REGISTER_BEHIND, REGISTER_NO_ROOM, REGISTER_UNRECORDED
from answerable.flows.recording.rounds import until_round

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.core.containment.hold import Hold
    from answerable.core.mandate.mandate import MandateId
    from answerable.core.mandate.revocation import RevocationTarget
    from answerable.ports.register_room import RegisterRoom

LOOK_SECONDS: Final = 1.0

_log: Final = logging.getLogger(__name__)


def no_room(room: RegisterRoom | None) -> Refused | None:
    """Return why no action begins because the registers cannot be written; None if they can. Does no I/O."""
    why = room.why if room is not None else ""
    if not why:
        return None
    return REGISTER_NO_ROOM(
        "nothing was done: no action begins while the registers cannot be written, since a stop could not be "
        f"stored ({why})"
    )


def is_in_force(failed: Unavailable) -> bool:
    """Whether a change that could not be written is in force in this process."""
    return failed.code == REGISTER_BEHIND.id


def told(what: str, failed: Unavailable, *, on_record: bool) -> Unavailable:
    """Return the error for the caller after everything possible without the registers is done."""
    why = str(failed.__cause__.message if isinstance(failed.__cause__, Unavailable) else failed.message)
    if on_record:
        code = REGISTER_BEHIND
        message = (
            f"{what} in this server, at once, and in the ledger, so that a restart keeps it; the registers do not have "
            f"it yet ({why}): no server on them begins an action until they can be written, and then they get it. Make "
            "room on their disk; if anything acts meanwhile, `answerable panic` holds everything"
        )
    else:
        code = REGISTER_UNRECORDED
        message = (
            f"{what} in this server, at once and until it ends, and is on record nowhere: neither registers ({why}) "
            "nor ledger take it. No server on them begins an action until they can be written, and then they get it; a "
            "restart before that forgets it. Make their disk writable and leave this server running, or end it and "
            "keep it down; `answerable panic` holds everything, after a restart, too, where its file can be written"
        )
    return code(message, effect="unknown")


async def follow_room(
    room: RegisterRoom | None,
    *,
    held: Callable[[Hold], Awaitable[object]],
    revoked: Callable[[RevocationTarget], Awaitable[object]],
    closed: Callable[[MandateId], Awaitable[object]],
    seconds: float = LOOK_SECONDS,
) -> None:
    """Poll whether the registers can be written, and write what they could not take. Runs without end.

    `held`, `revoked`, `closed`: repeat what follows from a hold, a revocation and a closed mandate. Failures are
    retried.
    """
    said = ""
    left: list[Callable[[], Awaitable[object]]] = []
    while room is not None:
        try:
            why = await anyio.to_thread.run_sync(room.look)
            if why and why != said:
                _log.warning("no action begins: %s", why)
                said = why
            owed = room.behind()
            if not why and (owed.holds or owed.revocations or owed.mandates):
                await anyio.to_thread.run_sync(room.catch_up)
                left += [partial(held, one) for one in owed.holds]
                left += [partial(revoked, one.what) for one in owed.revocations]
                left += [partial(closed, one) for one in owed.mandates]
            if said and not why:
                # An operator may end the process after reading this: everything is in the registers by now.
                _log.warning("the registers can be written again")
                said = ""
            while left and not why:
                await left[0]()
                del left[0]
        except Unavailable as failed:
            _log.warning("the registers still lack what was ended: %s", failed.message)
        await anyio.sleep(until_round(seconds))
