"""List issued SVIDs that have not expired, from this process's log: read in a thread, each entry once."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread

from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.ledger.entry import StoredEntry
    from answerable.ports.ledger import Ledger

LIFE_MILLIS_MAX: Final = 86_400_000
"""Upper bound of every SVID lifetime, whatever is configured now."""
ENTRIES_READ_MAX: Final = 200_000
"""Entries read, from the end of the log."""
ENTRIES_AT_A_TIME: Final = 500
KEPT_MAX: Final = 20_000
"""SVIDs cached between two calls; those that expire last are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutstandingSvid:
    """An unexpired SVID. `kind`: x509, jwt or wit. `serial`: of the certificate, or the token's digest."""

    instance: str
    kind: str
    serial: str
    expires_at: int


@dataclass(slots=True)
class IssuedSvids:
    """Unexpired SVIDs in the log, cached so that each call reads only new entries.

    `begin`, `end`: range of entries read. `is_cut`: whether there were more than are cached. Use in the event loop's
    thread only.
    """

    begin: int = 0
    end: int = 0
    is_cut: bool = False
    kept: list[OutstandingSvid] = field(default_factory=list)
    turn: anyio.Lock = field(default_factory=anyio.Lock)

    async def read(self, ledger: Ledger, now: int) -> None:
        """Read the log up to its present end."""
        async with self.turn:
            if self.end < ledger.size - ENTRIES_READ_MAX:
                self.begin = self.end = ledger.size - ENTRIES_READ_MAX
            entries = ledger.replay(self.end)
            while True:
                count, found = await to_thread.run_sync(_svids_in, islice(entries, ENTRIES_AT_A_TIME))
                if not count:
                    break
                self.end += count
                self.kept += found
            self.kept = [one for one in self.kept if one.expires_at > now]
            if len(self.kept) > KEPT_MAX:
                self.kept.sort(key=lambda one: one.expires_at, reverse=True)
                self.is_cut = True
                del self.kept[KEPT_MAX:]

    def is_all(self, ledger: Ledger, now: int) -> bool:
        """Whether the cached list is complete: no unread entry can name an unexpired SVID."""
        return not self.is_cut and (self.begin == 0 or _at(ledger.entry(self.begin)) < now - LIFE_MILLIS_MAX)


def _svids_in(entries: Iterable[StoredEntry]) -> tuple[int, list[OutstandingSvid]]:
    """Return the number of entries, and the SVIDs they name."""
    some = list(entries)
    found = [_svid_in(stored) for stored in some if stored.tag == Tag.SVID_ISSUED]
    return len(some), [one for one in found if one is not None]


def _svid_in(stored: StoredEntry) -> OutstandingSvid | None:
    leaf = leaf_of(stored)
    expires = leaf.get("expires")
    if not isinstance(expires, int):
        return None
    return OutstandingSvid(
        instance=str(leaf.get("instance")),
        kind=str(leaf.get("kind")),
        serial=str(leaf.get("serial")),
        expires_at=expires,
    )


def _at(stored: StoredEntry) -> int:
    at = leaf_of(stored).get("at")
    return at if isinstance(at, int) else 0
