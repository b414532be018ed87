"""How the table lies in its file, and when a file is one that may be gone on with.

    4096 bytes         head: what this is, for which run of which machine, its size, its epoch and when that began
    rooms * 32         whose each room is
    rooms * 8          when the last use in each room has passed, seconds
    then, on a page of its own each, the rooms: three numbers, uses * 16 bytes of digests, uses * 8 of ends, as rings

Numbers are of the machine's own byte order: the file is never carried anywhere.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from answerable.errors.codes.ledger import REPLAY_LIMITS
from answerable.ports.replay_store import DIGEST_BYTES, EPOCH_BYTES, PARTITION_BYTES

MAGIC: Final = b"answerable uses2"
PAGE: Final = 4096
WORD: Final = 8
ROOMS_MAX: Final = 65_536
USES_MAX: Final = 1_048_576
BOOT_BYTES: Final = 36

# Magic, boot, epoch, rooms, uses, inode, since. What changes while the table is in use comes after it.
_HEAD: Final = struct.Struct(f"={len(MAGIC)}s{BOOT_BYTES}s{EPOCH_BYTES}sQQQd")
ROOMS_GIVEN: Final = 512 // WORD
"""The word that counts the rooms that were ever given out."""
FORGOTTEN: Final = ROOMS_GIVEN + 1
"""The word with the latest end in any room that was taken from its owner."""
ROOM_WORDS: Final = 4
"""Of a room before its digests: how many uses were added, how many have passed, the latest end among those, nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything is, for a number of rooms and of uses in each. Offsets are bytes, words are eight of them."""

    rooms: int
    uses: int

    def __post_init__(self) -> None:
        if not 1 <= self.rooms <= ROOMS_MAX or not 1 <= self.uses <= USES_MAX:
            raise REPLAY_LIMITS(
                f"a replay table has 1 to {ROOMS_MAX} partitions and 1 to {USES_MAX} uses in each, got {self.rooms} "
                f"and {self.uses}"
            )

    @property
    def owners(self) -> int:
        """Offset of the list of owners."""
        return PAGE

    @property
    def ends(self) -> int:
        """Word at which the list of last ends begins."""
        return (PAGE + self.rooms * PARTITION_BYTES) // WORD

    @property
    def first_room(self) -> int:
        """Offset of the rooms, and so the size of all that is before them."""
        return _paged(PAGE + self.rooms * (PARTITION_BYTES + WORD))

    @property
    def room_bytes(self) -> int:
        """Size of one room."""
        return _paged(ROOM_WORDS * WORD + self.uses * (DIGEST_BYTES + WORD))

    @property
    def size(self) -> int:
        """Of the whole file; rooms that were never given out take no space on disk."""
        return self.first_room + self.rooms * self.room_bytes

    def room(self, index: int) -> int:
        """Offset of a room."""
        return self.first_room + index * self.room_bytes


def head(layout: Layout, *, boot: bytes, epoch: bytes, inode: int, since: float) -> bytes:
    """The first bytes of a new table."""
    return _HEAD.pack(MAGIC, boot, epoch, layout.rooms, layout.uses, inode, since)


def epoch_of(written: bytes, layout: Layout, *, boot: bytes, inode: int) -> tuple[bytes, float] | None:
    """The epoch of a table that may be gone on with, and when it began. written: its first page.

    None for any other: of another size or version; of an earlier run of the machine, in whose time its ends are; or a
    copy that was put back, which may have forgotten what was accepted since.
    """
    fields = _HEAD.unpack_from(written)
    epoch: bytes = fields[2]
    since: float = fields[-1]
    expected = head(layout, boot=boot, epoch=epoch, inode=inode, since=since)
    return (epoch, since) if written[: _HEAD.size] == expected else None


def _paged(size: int) -> int:
    return -(-size // PAGE) * PAGE
