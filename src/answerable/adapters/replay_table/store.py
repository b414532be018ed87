"""Store accepted proofs in a memory-mapped file that every process of a deployment shares.

No database on disk is needed: a use is remembered for a minute or two, and need not survive a reboot. Proofs accepted
before a crash of the machine belong to an epoch that ends with it: the epoch is the key of the server's nonces, a proof
contains its nonce, and a new epoch invalidates all older nonces. So no write must reach the disk, and a restart of
processes, which the kernel's memory survives, loses nothing.

A process that opens the table alone still begins a new epoch: while no process had it open, an older copy could have
been restored in its place, and its boot id and inode number could match those of the current table.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import stat
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from answerable.adapters.replay_table.layout import (
    FORGOTTEN,
    PAGE,
    ROOM_WORDS,
    ROOMS_GIVEN,
    WORD,
    Layout,
    epoch_of,
    head,
)
from answerable.adapters.replay_table.locks import ByteLocks, joined, unavailable
from answerable.errors.codes.ledger import REPLAY_LIMITS
from answerable.ports.replay_store import DIGEST_BYTES, EPOCH_BYTES, PARTITION_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from answerable.ports.entropy import Entropy
    from answerable.ports.replay_store import ReplayAnswer

PARTITIONS_MAX: Final = 1_024
USES_PER_PARTITION_MAX: Final = 4_096
MODE: Final = 0o600
OPENING_PAUSE_SECONDS: Final = 0.01
OPENING_PAUSES_MAX: Final = 500

_BOOT: Final = "/proc/sys/kernel/random/boot_id"
_DIRECTORY_LOCK: Final = 0
_USERS_LOCK: Final = 1
_NOBODY: Final = bytes(PARTITION_BYTES)


class SharedReplayStore:
    """Port ReplayStore. Thread-safe. Created by `open`, which every process calls for itself.

    A partition has a room from its first use until every use in it has expired and another partition needs the room.
    """

    def __init__(self, descriptor: int, layout: Layout, epoch: bytes, since: float) -> None:
        self._layout = layout
        # Plain attributes: computing these properties for each use would cost as much as the search.
        self._first_room, self._room_bytes, self._uses = layout.first_room, layout.room_bytes, layout.uses
        self._last_ends = layout.ends
        self._epoch, self._since = epoch, since
        self._descriptor = descriptor
        self._locks = ByteLocks(descriptor)
        self._lock = threading.Lock()
        self._map = mmap.mmap(descriptor, layout.size)
        # Writes of eight bytes at once: a killed process leaves either the old number or the new one.
        self._words = memoryview(self._map).cast("Q")
        self._times = memoryview(self._map).cast("d")
        self._rooms: dict[bytes, int] = {}
        self._closed = False

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        entropy: Entropy,
        at: float,
        partitions_max: int = PARTITIONS_MAX,
        uses_per_partition_max: int = USES_PER_PARTITION_MAX,
    ) -> SharedReplayStore:
        """Open the table at this path, and share it with the processes that have it open.

        If there are none, a new epoch begins: in the existing table, or in a new one if the existing table is of
        another boot of the machine or another size. Mode 0600, in directories of mode 0700. at: now, on the monotonic
        clock.

        Raises Malformed (`replay.limits`) and Unavailable (`replay.unavailable`).
        """
        layout = Layout(rooms=partitions_max, uses=uses_per_partition_max)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(_BOOT, "rb") as file:
                boot = file.read().strip()
            with _only_opener(path):
                found = _found(path, layout, boot)
                if found is None:
                    found = _made(path, layout, boot, entropy.bytes(EPOCH_BYTES), at)
                elif joined(found[0], _USERS_LOCK):
                    found = _renewed(found[0], layout, boot, entropy.bytes(EPOCH_BYTES), at)
                return cls(found[0], layout, found[1], found[2])
        except OSError as error:
            raise unavailable(f"cannot open the replay table `{path.name}`: {error.strerror}") from None

    @property
    def epoch(self) -> bytes:
        return self._epoch

    @property
    def since(self) -> float:
        """When the epoch began. Infinity if the table's file was deleted or replaced."""
        with self._lock:
            if self._closed:
                raise unavailable("the replay table is closed")
            return self._since if os.fstat(self._descriptor).st_nlink else math.inf

    def close(self) -> None:
        """Close the table; later calls raise Unavailable. Idempotent."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._words.release()
                self._times.release()
                self._map.close()
                os.close(self._descriptor)

    def accept(self, partition: bytes, digest: bytes, *, until: float, at: float) -> ReplayAnswer:
        """Accept a use once. A process that is killed in this call may or may not have recorded the use, and has not
        answered "new"."""
        if len(partition) != PARTITION_BYTES or len(digest) != DIGEST_BYTES or partition == _NOBODY:
            raise REPLAY_LIMITS("a partition has 32 bytes, not all zero, and a digest 16")
        with self._lock:
            if self._closed:
                raise unavailable("the replay table is closed")
            room = self._rooms.get(partition)
            if room is not None:
                with self._locks.held(self._first_room + room * self._room_bytes):
                    if self._owner(room) == partition:
                        return self._use(room, digest, until, at)
                # All of its uses had expired, and the room was assigned to another partition.
                del self._rooms[partition]
            with self._locks.held(_DIRECTORY_LOCK):
                room = self._room_of(partition, at)
                if room is None:
                    return "full"
                if len(self._rooms) >= self._layout.rooms:
                    self._rooms = {}
                self._rooms[partition] = room
                # No process can reassign this room while the directory lock is held.
                with self._locks.held(self._first_room + room * self._room_bytes):
                    return self._use(room, digest, until, at)

    def _use(self, room: int, digest: bytes, until: float, at: float) -> ReplayAnswer:
        """Record a use, while holding the room's lock. Both counters only grow; the uses between them are
        remembered."""
        uses, words, times = self._uses, self._words, self._times
        start = self._first_room + room * self._room_bytes
        counters = start // WORD
        digests = start + ROOM_WORDS * WORD
        ends = (digests + uses * DIGEST_BYTES) // WORD
        added, passed, forgotten = words[counters], words[counters + 1], times[counters + 2]
        if not 0 <= added - passed <= uses:
            raise unavailable("the replay table is damaged")
        was = passed
        while passed < added and times[ends + passed % uses] <= at:
            forgotten = max(forgotten, times[ends + passed % uses])
            passed += 1
        if passed != was:
            # In this order, so that a use is never dropped before its expiry counts as forgotten.
            times[counters + 2] = forgotten
            words[counters + 1] = passed
        if until <= at or until <= forgotten or self._holds(digests, digest, passed % uses, added - passed):
            return "seen"
        if added - passed >= uses:
            return "full"
        place = added % uses
        self._map[digests + place * DIGEST_BYTES : digests + (place + 1) * DIGEST_BYTES] = digest
        times[ends + place] = until
        last = self._last_ends + room
        if until > times[last]:
            times[last] = until
        # This write comes last, since it makes the use remembered.
        words[counters] = added + 1
        return "new"

    def _holds(self, digests: int, digest: bytes, first: int, count: int) -> bool:
        """Whether the ring contains the digest among `count` uses from `first` on: at most two searches at C speed."""
        last = first + count
        for start, stop in ((first, min(last, self._uses)), (0, last - self._uses)):
            if start >= stop:
                continue
            stretch = self._map[digests + start * DIGEST_BYTES : digests + stop * DIGEST_BYTES]
            found = stretch.find(digest)
            while found >= 0:
                # An unaligned match is the end of one digest and the beginning of the next.
                if found % DIGEST_BYTES == 0:
                    return True
                found = stretch.find(digest, found + 1)
        return False

    def _owner(self, room: int) -> bytes:
        start = self._layout.owners + room * PARTITION_BYTES
        return self._map[start : start + PARTITION_BYTES]

    def _room_of(self, partition: bytes, at: float) -> int | None:
        """Return the partition's room, or assign one, while holding the directory lock. Return None if there is
        none."""
        owners = self._map[self._layout.owners : self._layout.owners + self._layout.rooms * PARTITION_BYTES]
        found = owners.find(partition)
        while found >= 0:
            if found % PARTITION_BYTES == 0:
                return found // PARTITION_BYTES
            found = owners.find(partition, found + 1)
        given = self._words[ROOMS_GIVEN]
        if given < self._layout.rooms:
            try:
                # Allocate disk space first: a write to mapped memory on a full disk would kill the process.
                os.posix_fallocate(self._descriptor, self._layout.room(given), self._layout.room_bytes)
            except OSError as error:
                raise unavailable(f"no room in the replay table: {error.strerror}") from None
            self._give(given, partition)
            self._words[ROOMS_GIVEN] = given + 1
            return given
        for room, ends in enumerate(self._times[self._last_ends : self._last_ends + self._layout.rooms]):
            if ends <= at:
                with self._locks.held(self._first_room + room * self._room_bytes):
                    # Its owner may have used it meanwhile.
                    if self._times[self._last_ends + room] <= at:
                        self._times[FORGOTTEN] = max(
                            self._times[FORGOTTEN], self._times[self._last_ends + room]
                        )
                        self._give(room, partition)
                        return room
        return None

    def _give(self, room: int, partition: bytes) -> None:
        """Assign a room. Its remaining uses have expired, and the next use clears them. The new owner may have had a
        room before."""
        forgotten = (self._first_room + room * self._room_bytes) // WORD + 2
        self._times[forgotten] = max(self._times[forgotten], self._times[FORGOTTEN])
        start = self._layout.owners + room * PARTITION_BYTES
        self._map[start : start + PARTITION_BYTES] = partition


@contextmanager
def _only_opener(path: Path) -> Iterator[None]:
    """Let one process at a time inspect the file and, if need be, create another. Raises OSError, Unavailable."""
    pause = threading.Event()
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    lock = os.open(path.with_name(path.name + ".lock"), flags, MODE)
    try:
        for _ in range(OPENING_PAUSES_MAX):
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            pause.wait(OPENING_PAUSE_SECONDS)
        else:
            raise unavailable(f"another process is opening the replay table `{path.name}`")
        yield
    finally:
        os.close(lock)


def _found(path: Path, layout: Layout, boot: bytes) -> tuple[int, bytes, float] | None:
    """Return the existing table, open, with its epoch and when that began; None if there is no usable one."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    status = os.fstat(descriptor)
    # A user who can write the table could erase uses, and one who can read it could forge nonces.
    ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
    known = (
        epoch_of(os.pread(descriptor, PAGE, 0), layout, boot=boot, inode=status.st_ino)
        if ours and status.st_size == layout.size
        else None
    )
    if known is None:
        os.close(descriptor)
        return None
    return descriptor, *known


def _made(path: Path, layout: Layout, boot: bytes, epoch: bytes, at: float) -> tuple[int, bytes, float]:
    """Create a table in place of any existing one; processes that have the old one open continue with it, under its
    epoch."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    try:
        os.ftruncate(descriptor, layout.size)
        os.posix_fallocate(descriptor, 0, layout.first_room)
        joined(descriptor, _USERS_LOCK)
        found = _renewed(descriptor, layout, boot, epoch, at)
        fresh.replace(path)
    except OSError:
        os.close(descriptor)
        raise
    return found


def _renewed(
    descriptor: int, layout: Layout, boot: bytes, epoch: bytes, at: float
) -> tuple[int, bytes, float]:
    """Begin a new epoch in a table that no other process has open. Remembered uses stay, and are refused as before."""
    inode = os.fstat(descriptor).st_ino
    os.pwrite(descriptor, head(layout, boot=boot, epoch=epoch, inode=inode, since=at), 0)
    return descriptor, epoch, at
