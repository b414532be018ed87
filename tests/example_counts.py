"""How many examples a property is tried with where it says so itself: each costs more than those of others."""

from __future__ import annotations

from hypothesis import settings


def examples(count: int) -> int:
    """So many, and no more than all others in `./dev check` (`--hypothesis-profile=quick`)."""
    quick = settings.get_profile("quick").max_examples
    return min(count, quick) if settings.default.max_examples == quick else count
