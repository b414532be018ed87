"""Ending a right to act while the registers cannot be written: in force here, on record where the ledger has room.

Laws: while they cannot be written no action begins, whoever asks (`no_room`), for nobody could end it for good; what is
ended then is in force in this process at once, and in every other one nothing begins either; the ledger is asked all
the same, which keeps room for it, and brings it back at a start; once the registers can be written it is written.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from answerable.errors import Refused, Unavailable
from answerable.errors.codes.ledger import REGISTER_BEHIND, REGISTER_NO_ROOM, REGISTER_UNRECORDED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.core.containment.hold import Hold
    from answerable.core.mandate.mandate import MandateId
    from answerable.core.mandate.revocation import RevocationTarget
    from answerable.flows.state.walk import Walk

LOOK_SECONDS: Final = 1.0

_log: Final = logging.getLogger(__name__)


def no_room(walk: Walk) -> Refused | None:
    """Why no action begins at present, whoever asks, because the registers cannot be written. Without I/O."""
    why = walk.room.why if walk.room is not None else ""
    if not why:
        return None
    return REGISTER_NO_ROOM(
        f"nothing was done: no action begins while the registers cannot be written, as no stop could be kept ({why})"
    )


def is_in_force(failed: Unavailable) -> bool:
    """Whether what could not be written is in force in this process all the same."""
    return failed.code == REGISTER_BEHIND.id


def told(what: str, failed: Unavailable, *, on_record: bool) -> Unavailable:
    """What whoever ended something is told once everything was done that can be done without the registers."""
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
    walk: Walk,
    *,
    held: Callable[[Hold], Awaitable[object]],
    revoked: Callable[[RevocationTarget], Awaitable[object]],
    closed: Callable[[MandateId], Awaitable[object]],
    seconds: float = LOOK_SECONDS,
) -> None:
    """For ever: look whether the registers can be written, and let them have what they could not take. held, revoked,
    closed: what else follows from a hold, from what was revoked and from a closed mandate, which is done again then.
    What fails is tried again."""
    room, said = walk.room, ""
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
                # Whoever reads this may end the process: what was ended is in the registers by now.
                _log.warning("the registers can be written again")
                said = ""
            while left and not why:
                await left[0]()
                del left[0]
        except Unavailable as failed:
            _log.warning("the registers still lack what was ended: %s", failed.message)
        await anyio.sleep(seconds)
