"""SVIDs that were issued and have not run out, as the log of this process says them: read beside the event loop, each
entry once."""

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
"""No SVID can be set to live longer, whatever is set now."""
ENTRIES_READ_MAX: Final = 200_000
"""Of the end of the log."""
ENTRIES_AT_A_TIME: Final = 500
KEPT_MAX: Final = 20_000
"""Remembered between two questions, those that last longest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutstandingSvid:
    """kind: x509, jwt or wit. serial: of the certificate, or digest of the token, as the ledger has it."""

    instance: str
    kind: str
    serial: str
    expires_at: int


@dataclass(slots=True)
class IssuedSvids:
    """What the log says of SVIDs that have not run out, so that each question reads only what is new in it.

    begin, end: the entries that were read. is_cut: there were more than are kept. Belongs to the event loop's thread.
    """

    begin: int = 0
    end: int = 0
    is_cut: bool = False
    kept: list[OutstandingSvid] = field(default_factory=list)
    turn: anyio.Lock = field(default_factory=anyio.Lock)

    async def read(self, ledger: Ledger, now: int) -> None:
        """Up to what the log has now."""
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
        """Whether no other entry of this log can speak of one that has not run out."""
        return not self.is_cut and (self.begin == 0 or _at(ledger.entry(self.begin)) < now - LIFE_MILLIS_MAX)


def _svids_in(entries: Iterable[StoredEntry]) -> tuple[int, list[OutstandingSvid]]:
    """How many entries there are, and the SVIDs that they say."""
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
