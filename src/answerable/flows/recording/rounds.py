"""Begin the rounds of all background loops together: an idle process wakes once for many of them.

A server has some thirty loops that look at something once a second. If each kept its own beat, an idle server would
wake thirty times a second, with cold caches each time.
"""

from __future__ import annotations

import math
from typing import Final

import anyio

BEAT_SECONDS: Final = 1.0


def until_round(seconds: float) -> float:
    """Return how long a loop rests that looks every `seconds`: until a full beat of the event loop's clock, at most a
    thousandth longer than that. Loops with an interval below a beat begin with those of the same interval."""
    beat = min(seconds, BEAT_SECONDS)
    if beat <= 0.0 or math.isinf(seconds):
        return seconds
    now = anyio.current_time()
    rest = (now + seconds) // beat * beat - now
    # A timer may end a little early: the round of that beat is over.
    return rest if rest > beat / 1000 else rest + beat
