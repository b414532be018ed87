"""How long tokens act at most, by tier: settings may lower it, and never raise it."""

from __future__ import annotations

from typing import Final, TypeAlias

Seconds: TypeAlias = tuple[int, int, int, int]
"""By tier, 0 first."""

ACTING_SECONDS_MAX: Final[Seconds] = (300, 300, 120, 60)
"""300 s is what an agent's own signature is good for (`OFFLINE_SECONDS_MAX`), which no server can end by a status list;
a write that matters gets less than half of it, and what cannot be undone the minute in which a proof is replayed at
most."""
