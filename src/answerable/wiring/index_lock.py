"""Let one process at a time write a search index."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from answerable.errors.codes.search import SEARCH_LOCKED, SEARCH_UNAVAILABLE
from answerable.ports.search_process import QUESTION_SECONDS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOK_SECONDS: Final = 0.05


@contextmanager
def index_alone(directory: Path, *, wait_seconds_max: float = QUESTION_SECONDS_MAX) -> Iterator[None]:
    """Hold the lock of the index in this directory, after waiting for another process that has it. The directory above
    is created. Raises Unavailable (`search.locked`, `search.unavailable`)."""
    place = directory.with_name(f".{directory.name}.lock")
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise SEARCH_UNAVAILABLE(
            f"cannot open the lock of the search index `{place.name}`: {error.strerror}"
        ) from None
    try:
        give_up_at = time.monotonic() + wait_seconds_max
        while not _is_locked(descriptor):
            if time.monotonic() >= give_up_at:
                raise SEARCH_LOCKED()
            time.sleep(LOOK_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
