"""Time and chance of the agent's own process, which has no wiring that could pass them in."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemAccess:
    """unix_seconds: wall time. monotonic: seconds that never go back. random_bytes: unpredictable, as many as asked."""

    unix_seconds: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    random_bytes: Callable[[int], bytes] = os.urandom


SYSTEM_WORLD = SystemAccess()
