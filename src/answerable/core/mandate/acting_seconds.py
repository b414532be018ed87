"""How many seconds a token may be used for actions, by tier. Settings may lower these limits, and never raise them."""

from __future__ import annotations

from typing import Final, TypeAlias

Seconds: TypeAlias = tuple[int, int, int, int]
"""One limit a tier, tier 0 first."""

ACTING_SECONDS_MAX: Final[Seconds] = (300, 300, 120, 60)
"""300 s is the lifetime of a hop that an agent signs with its own key (`OFFLINE_SECONDS_MAX`), which no server can end
by a status list. A token for tier 2 lasts less than half of that. A token for tier 3 (irreversible actions) lasts 60 s,
the longest time for which a proof of possession could be replayed."""
