"""When an identity is renewed, and when what failed is tried again. Rules alone: time and chance are the caller's.

chance: from 0 to 1, drawn anew each time, so that sidecars that were started, or lost their server, together do not all
come at once.
"""

from __future__ import annotations

from typing import Final

JITTER: Final = 0.1
"""Of half a life, to either side."""
WAIT_SECONDS_MIN: Final = 0.2
RETRY_SECONDS_MIN: Final = 1.0
RETRY_SECONDS_MAX: Final = 30.0
"""The longest pause between two renewals that failed."""
RETURN_SECONDS_MIN: Final = 2.0
RETURN_SECONDS_MAX: Final = 60.0
"""The longest pause between two enrolments anew that failed."""
_DOUBLINGS_MAX: Final = 10


def renewal_wait(seconds_left: float, chance: float) -> float:
    """Seconds until a life of which so many are left is half over, a tenth of them sooner or later."""
    return max(WAIT_SECONDS_MIN, spread(seconds_left / 2, chance))


def retry_wait(failures: int, chance: float) -> float:
    """Seconds until a renewal that failed so often is tried again: doubling up to a bound, half to all of it."""
    return _doubled(RETRY_SECONDS_MIN, failures, RETRY_SECONDS_MAX) * (0.5 + chance / 2)


def return_wait(failures: int, chance: float) -> float:
    """Seconds until an enrolment anew that failed so often is tried: anywhere up to a bound that doubles.

    Before the first, too: a server that lost its state has lost everybody's at once.
    """
    return _doubled(RETURN_SECONDS_MIN, failures, RETURN_SECONDS_MAX) * chance


def spread(seconds: float, chance: float) -> float:
    """So many seconds, a tenth of them sooner or later."""
    return seconds * (1 - JITTER + 2 * JITTER * chance)


def _doubled(first: float, times: int, most: float) -> float:
    return min(most, first * 2.0 ** min(times, _DOUBLINGS_MAX))
