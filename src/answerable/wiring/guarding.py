"""Keeping the keys in this process from other processes of the same user.

What Linux allows: no other process without CAP_SYS_PTRACE may attach to us, read our memory or our file descriptors,
and there is no core dump. Root can do all of it, as can whoever attached before; elsewhere only core dumps are off.
"""

from __future__ import annotations

import ctypes
import resource
import sys
from contextlib import suppress
from typing import Final

PR_SET_DUMPABLE: Final = 4
PR_GET_DUMPABLE: Final = 3
PR_SET_CHILD_SUBREAPER: Final = 36


def without_core_dumps() -> bool:
    """No core file of this process or of those it starts; tells whether the platform agreed."""
    with suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
        return True
    return False


def without_tracing() -> bool:
    """Make this process one that others of its user cannot look into. Children are as they would be without us.

    From here on they cannot read which program we run either, so a server that attests us by that must have done so.
    """
    return _prctl(PR_SET_DUMPABLE, 0) == 0 and _prctl(PR_GET_DUMPABLE, 0) == 0


def adopting_orphans() -> bool:
    """Become the parent of what our descendants leave behind, so that they stay recognisable as ours."""
    return _prctl(PR_SET_CHILD_SUBREAPER, 1) == 0


def _prctl(option: int, value: int) -> int:
    if sys.platform != "linux":
        return -1
    try:
        return int(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0))
    except (OSError, AttributeError):
        return -1
