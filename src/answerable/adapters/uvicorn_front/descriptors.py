"""Share the process's file descriptors: connections get those that are not reserved for everything else."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Any, Final

RAISED_MAX: Final = 65_536
"""The limit that the process sets itself; a higher limit from its start stays."""
KEPT: Final = 512
"""Descriptors reserved from TCP connections if the limit is WHOLE or more; the loop accepts fewer connections per
check."""
WHOLE: Final = 1_024
"""Below this limit, fewer are reserved, in proportion."""


def raise_limit() -> int:
    """Raise the limit on open files as far as permitted, up to RAISED_MAX; return the limit then in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = RAISED_MAX if hard == resource.RLIM_INFINITY else min(hard, RAISED_MAX)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def has_place(connected: Any, *, kept: int, local: bool) -> bool:
    """Whether a connection may stay. TCP connections are refused first, so that a flood over TCP does not block
    processes of this machine.

    The kernel assigns the lowest free number, so a descriptor's number shows how many are in use. kept: the listener's
    reservation against TCP.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if connected is None or soft == resource.RLIM_INFINITY:
        return True
    share = kept // 2 if local else kept
    return int(connected.fileno()) < soft - share * min(soft, WHOLE) // WHOLE
