"""File descriptors of the process: connections get those that are not kept for everything else it does."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Any, Final

RAISED_MAX: Final = 65_536
"""As many as the process takes by itself; a higher limit that it was started with stays."""
KEPT: Final = 512
"""Kept from connections over TCP where the limit is WHOLE or more; the loop accepts fewer before it looks at them."""
WHOLE: Final = 1_024
"""Below it less is kept, in proportion."""


def raise_limit() -> int:
    """Take as many open files as this process may have, up to RAISED_MAX; returns the limit that is in force then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = RAISED_MAX if hard == resource.RLIM_INFINITY else min(hard, RAISED_MAX)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def has_place(connected: Any, *, kept: int, local: bool) -> bool:
    """Whether a connection may stay. Those over TCP are turned away first, so that whoever floods them keeps no process
    of this machine out.

    The kernel gives the lowest number that is free, so the number says how many are taken. kept: of the door, for TCP.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if connected is None or soft == resource.RLIM_INFINITY:
        return True
    share = kept // 2 if local else kept
    return int(connected.fileno()) < soft - share * min(soft, WHOLE) // WHOLE
