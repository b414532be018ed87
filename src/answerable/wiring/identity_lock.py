"""Lock the keys of the trust domain, which processes of one deployment share."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from answerable.errors.codes.identity import AUTHORITY_KEYS_LOCK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.wiring.setting_tree import Settings


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Hold the lock: only one process at a time creates or destroys keys of this trust domain. Blocks while another
    holds it. Raises Unavailable (`authority_keys.lock`)."""
    place = settings.data / "keys" / "identity.lock"
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise AUTHORITY_KEYS_LOCK(f"cannot open {place}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
