"""Choose the next password to try when a target refuses the current one, which a rotation may just have replaced.

Law: each is tried once, and at most TRIES_MAX of them; the candidates are read again before each attempt, because a
rotation may have ended meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

TRIES_MAX: Final = 8


def others_to_try(first: str, read: Callable[[], Iterable[str]]) -> Iterator[str]:
    """Yield the candidates after `first`. read: returns the current candidates, the likeliest first."""
    tried = {first}
    for _ in range(TRIES_MAX):
        other = next((one for one in read() if one not in tried), None)
        if other is None:
            return
        tried.add(other)
        yield other
