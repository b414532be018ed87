"""Define the layout of the replay table in its file, and decide whether an existing file may be used further.

    4096 bytes         head: format, boot id of the machine, sizes, inode, epoch and the epoch's start
    rooms * 32         the owner of each room
    rooms * 8          when the last use in each room expires, seconds
    then, on a page of its own each, the rooms: counters, uses * 16 bytes of digests, uses * 8 of expiries, as rings

Numbers have the machine's byte order: the file is never moved to another machine.
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

# Magic, boot, epoch, rooms, uses, inode, since. Words that change while the table is in use come after these.
_HEAD: Final = struct.Struct(f"={len(MAGIC)}s{BOOT_BYTES}s{EPOCH_BYTES}sQQQd")
ROOMS_GIVEN: Final = 512 // WORD
"""Index of the word that counts the rooms ever assigned."""
FORGOTTEN: Final = ROOMS_GIVEN + 1
"""Index of the word with the latest expiry in any room that was taken from its owner."""
ROOM_WORDS: Final = 4
"""Words of a room before its digests: uses added, uses expired, the latest expiry among those, and one unused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Positions in the file, for a number of rooms and of uses in each. Offsets are bytes; a word is eight bytes."""

    rooms: int
    uses: int

    def __post_init__(self) -> None:
        if not 1 <= self.rooms <= ROOMS_MAX or not 1 <= self.uses <= USES_MAX:
            raise REPLAY_LIMITS(
                f"expected 1 to {ROOMS_MAX} replay partitions with 1 to {USES_MAX} uses each, got "
                f"{self.rooms} and {self.uses}"
            )

    @property
    def owners(self) -> int:
        """Offset of the list of owners."""
        return PAGE

    @property
    def ends(self) -> int:
        """Index of the word at which the list of last expiries begins."""
        return (PAGE + self.rooms * PARTITION_BYTES) // WORD

    @property
    def first_room(self) -> int:
        """Offset of the rooms, which is also the size of everything before them."""
        return _paged(PAGE + self.rooms * (PARTITION_BYTES + WORD))

    @property
    def room_bytes(self) -> int:
        """Size of one room."""
        return _paged(ROOM_WORDS * WORD + self.uses * (DIGEST_BYTES + WORD))

    @property
    def size(self) -> int:
        """Size of the whole file; unassigned rooms take no disk space."""
        return self.first_room + self.rooms * self.room_bytes

    def room(self, index: int) -> int:
        """Offset of a room."""
        return self.first_room + index * self.room_bytes


def head(layout: Layout, *, boot: bytes, epoch: bytes, inode: int, since: float) -> bytes:
    """Return the first bytes of a new table."""
    return _HEAD.pack(MAGIC, boot, epoch, layout.rooms, layout.uses, inode, since)


def epoch_of(written: bytes, layout: Layout, *, boot: bytes, inode: int) -> tuple[bytes, float] | None:
    """Return the epoch of a table that may be used further, and when it began. written: the table's first page.

    Return None for any other: a table of another size or version; of an earlier boot of the machine, whose clock its
    expiries refer to; or a restored copy, which may lack proofs accepted since.
    """
    fields = _HEAD.unpack_from(written)
    epoch: bytes = fields[2]
    since: float = fields[-1]
    expected = head(layout, boot=boot, epoch=epoch, inode=inode, since=since)
    return (epoch, since) if written[: _HEAD.size] == expected else None


def _paged(size: int) -> int:
    return -(-size // PAGE) * PAGE
