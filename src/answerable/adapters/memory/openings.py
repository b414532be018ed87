"""What people have open before them, as long as the process lives."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import TYPE_CHECKING

from answerable.core.approval.openings import (
    LOOK_MILLIS_MAX,
    LOOKS_MAX,
    OF_ONE_MAX,
    OF_UNKNOWN_MAX,
    PER_OPENING_MAX,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from answerable.core.approval.openings import Haste
    from answerable.core.identity.principal import UnixMillis


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    digest: bytes
    about: str
    to: str
    at: UnixMillis
    ends: UnixMillis


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    at: UnixMillis
    holders: int


class MemoryOpeningRegister:
    """Implements ports.opening_register.OpeningRegister."""

    def __init__(
        self,
        *,
        of_one_max: int = OF_ONE_MAX,
        of_unknown_max: int = OF_UNKNOWN_MAX,
        looks_max: int = LOOKS_MAX,
    ) -> None:
        self._lock = threading.Lock()
        self._of_one_max, self._of_unknown_max, self._looks_max = of_one_max, of_unknown_max, looks_max
        self._given: dict[bytes, _Given] = {}
        self._looks: OrderedDict[tuple[str, str], UnixMillis] = OrderedDict()
        self._said: dict[tuple[str, Haste, str], _Said] = {}

    def give(self, digest: bytes, *, about: str, to: str, at: UnixMillis, ends: UnixMillis) -> None:
        """As the port says."""
        with self._lock:
            self._given = {key: one for key, one in self._given.items() if at < one.ends}
            self._given[digest] = _Given(digest=digest, about=about, to=to, at=at, ends=ends)
            same = [one for one in self._given.values() if one.about == about]
            if len(same) > PER_OPENING_MAX:
                del self._given[_oldest_of_most(same)]
            own = [one.digest for one in self._given.values() if one.to == to]
            if len(own) > (self._of_one_max if to else self._of_unknown_max):
                del self._given[own[0]]

    def take(self, digest: bytes, *, about: str, by: str, now: UnixMillis) -> UnixMillis | None:
        """As the port says."""
        with self._lock:
            found = self._given.get(digest)
            if found is None or found.about != about or found.to not in ("", by) or now >= found.ends:
                return None
            del self._given[digest]
            return found.at

    def look(self, things: Sequence[str], person: str, at: UnixMillis) -> None:
        """As the port says."""
        with self._lock:
            while self._looks and next(iter(self._looks.values())) <= at - LOOK_MILLIS_MAX:
                self._looks.popitem(last=False)
            for about in things:
                self._looks.setdefault((about, person), at)
            while len(self._looks) > self._looks_max:
                self._looks.popitem(last=False)

    def looked(self, about: str, person: str) -> UnixMillis | None:
        """As the port says."""
        return self._looks.get((about, person))

    def claim(
        self, person: str, kind: Haste, what: str, *, at: UnixMillis, since: UnixMillis, most: int
    ) -> int | None:
        """As the port says."""
        with self._lock:
            self._said = {key: one for key, one in self._said.items() if key[1] != kind or one.at > since}
            others = sum(
                key[:2] == (person, kind) and key[2] != what and one.at > since
                for key, one in self._said.items()
            )
            if others >= most:
                return others
            key = (person, kind, what)
            known = self._said.get(key)
            if known is None:
                self._said[key] = _Said(at=at, holders=1)
            else:
                self._said[key] = _Said(at=max(at, known.at), holders=known.holders + 1)
            return None

    def let_go(self, person: str, kind: Haste, what: str) -> None:
        """As the port says."""
        with self._lock:
            key = (person, kind, what)
            known = self._said.get(key)
            if known is not None and known.holders > 1:
                self._said[key] = changed(known, holders=known.holders - 1)
            else:
                self._said.pop(key, None)


def _oldest_of_most(given: Iterable[_Given]) -> bytes:
    """Oldest first."""
    listed = list(given)
    most = Counter(one.to for one in listed).most_common(1)[0][0]
    return next(one.digest for one in listed if one.to == most)
