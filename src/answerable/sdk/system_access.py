"""Provide clocks and random bytes for the agent's own process, which has no wiring to inject them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemAccess:
    """Access to the system. unix_seconds: wall time. monotonic: seconds, never decreasing. random_bytes: returns so
    many unpredictable bytes."""

    unix_seconds: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    random_bytes: Callable[[int], bytes] = os.urandom


SYSTEM_WORLD = SystemAccess()
