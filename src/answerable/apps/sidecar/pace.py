"""Compute when to renew an identity and when to retry. Pure functions: time and randomness are the caller's.

chance: from 0 to 1, drawn for each call, so that sidecars that started, or lost their server, together do not all call
at once.
"""

from __future__ import annotations

from typing import Final

JITTER: Final = 0.1
"""Share of the half lifetime, in either direction."""
WAIT_SECONDS_MIN: Final = 0.2
RETRY_SECONDS_MIN: Final = 1.0
RETRY_SECONDS_MAX: Final = 30.0
"""The longest pause between two failed renewals."""
RETURN_SECONDS_MIN: Final = 2.0
RETURN_SECONDS_MAX: Final = 60.0
"""The longest pause between two failed enrolments."""
_DOUBLINGS_MAX: Final = 10


def renewal_wait(seconds_left: float, chance: float) -> float:
    """Return the seconds until half of the remaining lifetime is over, with a tenth of jitter."""
    return max(WAIT_SECONDS_MIN, spread(seconds_left / 2, chance))


def retry_wait(failures: int, chance: float) -> float:
    """Return the seconds until the next attempt of a failed renewal: doubling up to a bound, jittered between half and
    all of it."""
    return _doubled(RETRY_SECONDS_MIN, failures, RETRY_SECONDS_MAX) * (0.5 + chance / 2)


def return_wait(failures: int, chance: float) -> float:
    """Return the seconds until the next attempt to enrol again: uniform up to a bound that doubles.

    Applies to the first attempt, too: a server that lost its state has lost every sidecar's at once.
    """
    return _doubled(RETURN_SECONDS_MIN, failures, RETURN_SECONDS_MAX) * chance


def spread(seconds: float, chance: float) -> float:
    """Return these seconds with a tenth of jitter."""
    return seconds * (1 - JITTER + 2 * JITTER * chance)


def _doubled(first: float, times: int, most: float) -> float:
    return min(most, first * 2.0 ** min(times, _DOUBLINGS_MAX))
