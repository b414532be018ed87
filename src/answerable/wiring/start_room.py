"""Explain a start that failed on a full disk: whichever file could not be written first, the error names the disk."""

from __future__ import annotations

import errno
import os
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from answerable.errors import Unavailable, shown
from answerable.errors.codes.services import START_DIRECTORY, START_NO_ROOM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from answerable.wiring.setting_tree import Settings

ROOM_BYTES_MIN: Final = 1_048_576
"""With less free space than this on a disk, a failed start is attributed to it."""
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

T = TypeVar("T")


@contextmanager
def room_told(settings: Settings) -> Iterator[None]:
    """Re-raise failures of the block as Unavailable, with advice on where to make room if a disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        message = f"{shown(settings.data)} cannot be made: {(error.strerror or '').lower()}"
        failed = START_NO_ROOM(message)
        raise _with_advice(failed, settings.data) from None
    except Unavailable as failed:
        places = (settings.data, settings.ledger.place, settings.registers.database.parent)
        place = next((one for one in places if _left(one) < ROOM_BYTES_MIN), None)
        if failed.code == "ledger.full":
            # A segment of the log needs more space.
            place = settings.ledger.place
        if place is None:
            raise
        raise _with_advice(failed, place) from None


def make_product_directory(settings: Settings) -> None:
    """Create the data directory if it does not exist. Raises Unavailable (`start.directory`), and OSError for a full
    disk."""
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise
        raise START_DIRECTORY(
            f"the data directory {shown(settings.data, 300)} cannot be made: "
            f"{(error.strerror or 'unknown fault').lower()}; name another with --data or `ANSWERABLE_DATA`"
        ) from None


@asynccontextmanager
async def told_of_room(settings: Settings, opening: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Yield the opened product; failures of the opening are handled by `room_told`."""
    async with AsyncExitStack() as opened:
        with room_told(settings):
            found = await opened.enter_async_context(opening)
        yield found


def _with_advice(failed: Unavailable, place: Path) -> Unavailable:
    return Unavailable(
        f"{failed.message}. Free space on the disk of {shown(place)}, which has {_left(place)} bytes left, and "
        "start again: stored data is kept",
        code=failed.code,
        port=failed.port,
        effect=failed.effect,
    )


def _left(place: Path) -> int:
    for there in (place, *place.parents):
        try:
            found = os.statvfs(there)
        except OSError:
            continue
        return found.f_bavail * found.f_frsize
    return ROOM_BYTES_MIN
