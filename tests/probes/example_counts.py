"""How many examples a property is tried with where it says so itself: each costs more than those of others."""

from __future__ import annotations

from hypothesis import settings


def examples(count: int) -> int:
    """So many, and no more than all others have in `./dev check` and `./dev test`."""
    return min(count, settings().max_examples)
