"""The head file: size and chain value of a log when the file was last written, so that opening is fast.

It proves nothing: every value is checked against the log.

Laws:
- `parse` accepts only what `encoded` writes;
- a head without `sealed` is of version 1: such a log is read completely when it is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.canonical import Limits, encode, parse
from answerable.core.tlog.merkle import HASH_BYTES
from answerable.errors import Malformed
from answerable.errors.codes.ledger import LEDGER_HEAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue

HEAD_VERSION: Final = 2
FIRST_HEAD_VERSION: Final = 1
HEAD_BYTES_MAX: Final = 4 * 1_048_576
OPEN_INTENTS_MAX: Final = 65_536
"""With more open intents than this a head omits `sealed`, and the next opening reads the whole log."""


class OpenIntent(NamedTuple):
    """An intent without an end. entry: its index. segment: the first index of its segment. offset: position in the
    segment."""

    entry: int
    segment: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedAt:
    """The end of what the newest checkpoint covers: `size` entries, chain value, and the position after the last of
    them.

    segment: index of the first entry of the segment that holds the last sealed entry.
    """

    size: int
    chain: bytes
    segment: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """State of a log: number of entries, chain value after them, whether the log was closed properly; up to where it is
    sealed, and the intents below that without an end, in order. sealed: None in version 1, and where there is no
    checkpoint yet."""

    origin: str
    size: int
    chain: bytes
    clean: bool
    sealed: SealedAt | None = None
    open: tuple[OpenIntent, ...] = ()

    def encoded(self) -> bytes:
        """Return the bytes that `parse` reads."""
        members: dict[str, JSONValue] = {
            "chain": self.chain.hex(),
            "clean": self.clean,
            "origin": self.origin,
            "size": self.size,
            "v": FIRST_HEAD_VERSION,
        }
        if self.sealed is not None:
            at = self.sealed
            members["v"] = HEAD_VERSION
            members["sealed"] = {
                "chain": at.chain.hex(),
                "offset": at.offset,
                "segment": at.segment,
                "size": at.size,
            }
            members["open"] = [[*intent] for intent in self.open]
        return encode(members)

    @classmethod
    def parse(cls, encoded: bytes) -> Head:
        """Parse a head. Raises Malformed (`ledger.head`) for anything that `encoded` does not write,
        of either version."""
        try:
            members = parse(encoded, limits=Limits(size_bytes_max=HEAD_BYTES_MAX))
            if isinstance(members, dict):
                sealed = members.get("sealed")
                head = cls(
                    origin=_text(members.get("origin")),
                    size=_count(members.get("size")),
                    chain=_hash(members.get("chain")),
                    clean=members.get("clean") is True,
                    sealed=None if sealed is None else _sealed(sealed),
                    open=() if sealed is None else _open(members.get("open")),
                )
                if head.encoded() == encoded and _hangs_together(head):
                    return head
        except (Malformed, ValueError):
            pass
        raise LEDGER_HEAD("the head cannot be read")


def head_of(
    *,
    origin: str,
    size: int,
    chain: bytes,
    clean: bool,
    sealed: SealedAt | None,
    opened: Sequence[OpenIntent],
) -> Head:
    """Build a head: one of version 1 where there is no checkpoint yet, or too many intents are open."""
    if sealed is None or len(opened) > OPEN_INTENTS_MAX:
        return Head(origin=origin, size=size, chain=chain, clean=clean)
    return Head(origin=origin, size=size, chain=chain, clean=clean, sealed=sealed, open=tuple(opened))


def _hangs_together(head: Head) -> bool:
    """Whether sizes and positions can belong to one log."""
    if head.sealed is None:
        return True
    at = head.sealed
    indexes = [intent.entry for intent in head.open]
    return (
        0 < at.size <= head.size
        and at.segment < at.size
        and len(indexes) <= OPEN_INTENTS_MAX
        and all(before < after for before, after in pairwise([*indexes, at.size]))
        and all(intent.segment <= intent.entry for intent in head.open)
    )


def _sealed(value: JSONValue) -> SealedAt:
    if not isinstance(value, dict):
        raise LEDGER_HEAD("the sealed place is not an object")
    return SealedAt(
        size=_count(value.get("size")),
        chain=_hash(value.get("chain")),
        segment=_count(value.get("segment")),
        offset=_count(value.get("offset")),
    )


def _open(value: JSONValue) -> tuple[OpenIntent, ...]:
    if not isinstance(value, list):
        raise LEDGER_HEAD("the open intents are not a list")
    places = []
    for item in value:
        if not isinstance(item, list) or len(item) != len(OpenIntent._fields):
            raise LEDGER_HEAD("an open intent is not a place")
        places.append(OpenIntent(*(_count(number) for number in item)))
    return tuple(places)


def _text(value: JSONValue) -> str:
    if not isinstance(value, str):
        raise LEDGER_HEAD("a head member is not text")
    return value


def _count(value: JSONValue) -> int:
    if type(value) is not int or value < 0:
        raise LEDGER_HEAD("a head member is not a count")
    return value


def _hash(value: JSONValue) -> bytes:
    decoded = bytes.fromhex(_text(value))
    if len(decoded) != HASH_BYTES:
        raise LEDGER_HEAD("a head member is not a hash")
    return decoded
