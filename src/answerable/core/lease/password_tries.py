"""Which password to try next, where the target refuses the one that is given out: it may be just being changed there.

Law: each is tried once, and no more than TRIES_MAX of them; what may be right is asked anew each time, for a change
that ended meanwhile is known by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

TRIES_MAX: Final = 8


def others_to_try(first: str, read: Callable[[], Iterable[str]]) -> Iterator[str]:
    """Those after `first`. read: what may be right now, the likeliest first."""
    tried = {first}
    for _ in range(TRIES_MAX):
        other = next((one for one in read() if one not in tried), None)
        if other is None:
            return
        tried.add(other)
        yield other
