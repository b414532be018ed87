"""Protect the keys in this process from other processes of the same user.

On Linux, no other process without CAP_SYS_PTRACE may attach to this process, read its memory or its file descriptors,
and no core dump is written. Root can do all of it, as can a process that attached before; on other systems only core
dumps are off.
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
    """Disable core files of this process and its children; whether the platform allowed it."""
    with suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
        return True
    return False


def without_tracing() -> bool:
    """Forbid other processes of this user to inspect this process. Children are not affected.

    From here on other processes cannot read which program this process runs either, so a server that attests it by its
    program must have done so before.
    """
    return _prctl(PR_SET_DUMPABLE, 0) == 0 and _prctl(PR_GET_DUMPABLE, 0) == 0


def adopting_orphans() -> bool:
    """Become the parent of orphaned descendants, so that they stay recognisable as this process's."""
    return _prctl(PR_SET_CHILD_SUBREAPER, 1) == 0


def _prctl(option: int, value: int) -> int:
    if sys.platform != "linux":
        return -1
    try:
        return int(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0))
    except (OSError, AttributeError):
        return -1
