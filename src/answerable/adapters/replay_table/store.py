"""Accepted proofs in a file that every process of a deployment has mapped into its memory.

Why not a database on disk: a use is remembered for a minute or two, and nothing of it has to outlive the machine's run.
What would be forgotten by a crash of the machine was accepted under an epoch that ends with it: the epoch is the key of
the server's nonces, a proof carries its nonce, and after a new epoch none of the old ones is good. So no write has to
reach the disk, and a restart of processes, which the kernel's memory survives, forgets nothing at all.

Who opens it alone begins a new epoch all the same: while nobody had it open, an older copy may have been put in its
place, and the machine and the number of its file would be those of the table that is there now.
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
    """Port ReplayStore. Safe for several threads; made by `open`, which every process calls for itself.

    A partition has a room from its first use until every use in it has passed and another partition needs one.
    """

    def __init__(self, descriptor: int, layout: Layout, epoch: bytes, since: float) -> None:
        self._layout = layout
        # As plain numbers: worked out for every use they would cost as much as the search.
        self._first_room, self._room_bytes, self._uses = layout.first_room, layout.room_bytes, layout.uses
        self._last_ends = layout.ends
        self._epoch, self._since = epoch, since
        self._descriptor = descriptor
        self._locks = ByteLocks(descriptor)
        self._lock = threading.Lock()
        self._map = mmap.mmap(descriptor, layout.size)
        # Eight bytes at once: a process that is killed leaves a number as it was or as it shall be.
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
        """Share the table at this path with those who have it open. Where nobody has, a new epoch begins: in the table
        that is there, or in one made anew when it is not of this run of the machine and of this size. Mode 0600, in
        directories of mode 0700. at: now, on the clock that never goes back.

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
        """As the port says. A table that was taken away or replaced has no name any more."""
        with self._lock:
            if self._closed:
                raise unavailable("the replay table is closed")
            return self._since if os.fstat(self._descriptor).st_nlink else math.inf

    def close(self) -> None:
        """Let go of the table; whatever is asked later raises Unavailable. Idempotent."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._words.release()
                self._times.release()
                self._map.close()
                os.close(self._descriptor)

    def accept(self, partition: bytes, digest: bytes, *, until: float, at: float) -> ReplayAnswer:
        """As the port says. A process killed on the way leaves the use remembered or not, and was not told "new"."""
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
                # It stood empty and was given to another since.
                del self._rooms[partition]
            with self._locks.held(_DIRECTORY_LOCK):
                room = self._room_of(partition, at)
                if room is None:
                    return "full"
                if len(self._rooms) >= self._layout.rooms:
                    self._rooms = {}
                self._rooms[partition] = room
                # While the directory is held nobody can give this room away.
                with self._locks.held(self._first_room + room * self._room_bytes):
                    return self._use(room, digest, until, at)

    def _use(self, room: int, digest: bytes, until: float, at: float) -> ReplayAnswer:
        """The room's lock is held. Both counters only grow; what lies between them is remembered."""
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
            # In this order, so that nothing is forgotten of which nobody knows that it was.
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
        # Last of all, for only now is it remembered.
        words[counters] = added + 1
        return "new"

    def _holds(self, digests: int, digest: bytes, first: int, count: int) -> bool:
        """Whether a ring holds it among so many from `first` on: at most two stretches, searched at C speed."""
        last = first + count
        for start, stop in ((first, min(last, self._uses)), (0, last - self._uses)):
            if start >= stop:
                continue
            stretch = self._map[digests + start * DIGEST_BYTES : digests + stop * DIGEST_BYTES]
            found = stretch.find(digest)
            while found >= 0:
                # Elsewhere it is the end of one digest and the beginning of the next.
                if found % DIGEST_BYTES == 0:
                    return True
                found = stretch.find(digest, found + 1)
        return False

    def _owner(self, room: int) -> bytes:
        start = self._layout.owners + room * PARTITION_BYTES
        return self._map[start : start + PARTITION_BYTES]

    def _room_of(self, partition: bytes, at: float) -> int | None:
        """The directory's lock is held. The partition's room, or one given to it now, or None when there is none."""
        owners = self._map[self._layout.owners : self._layout.owners + self._layout.rooms * PARTITION_BYTES]
        found = owners.find(partition)
        while found >= 0:
            if found % PARTITION_BYTES == 0:
                return found // PARTITION_BYTES
            found = owners.find(partition, found + 1)
        given = self._words[ROOMS_GIVEN]
        if given < self._layout.rooms:
            try:
                # The disk may be full, which must be known before the memory is written to.
                os.posix_fallocate(self._descriptor, self._layout.room(given), self._layout.room_bytes)
            except OSError as error:
                raise unavailable(f"no room in the replay table: {error.strerror}") from None
            self._give(given, partition)
            self._words[ROOMS_GIVEN] = given + 1
            return given
        for room, ends in enumerate(self._times[self._last_ends : self._last_ends + self._layout.rooms]):
            if ends <= at:
                with self._locks.held(self._first_room + room * self._room_bytes):
                    # Its owner may have come back since.
                    if self._times[self._last_ends + room] <= at:
                        self._times[FORGOTTEN] = max(
                            self._times[FORGOTTEN], self._times[self._last_ends + room]
                        )
                        self._give(room, partition)
                        return room
        return None

    def _give(self, room: int, partition: bytes) -> None:
        """What is left in it has passed, and the next use clears it. The new owner may have had another room before."""
        forgotten = (self._first_room + room * self._room_bytes) // WORD + 2
        self._times[forgotten] = max(self._times[forgotten], self._times[FORGOTTEN])
        start = self._layout.owners + room * PARTITION_BYTES
        self._map[start : start + PARTITION_BYTES] = partition


@contextmanager
def _only_opener(path: Path) -> Iterator[None]:
    """One process at a time looks at the file and, if need be, makes another. Raises OSError, Unavailable."""
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
    """The table that is there, open, its epoch and when that began."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    status = os.fstat(descriptor)
    # Whoever may write to it could make it forget, and whoever may read it could make nonces.
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
    """A new table in place of whatever is there; processes that have that one open go on with it, under its epoch."""
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
    """A table that nobody else has open, in a new epoch. What is remembered in it stays, and is refused as before."""
    inode = os.fstat(descriptor).st_ino
    os.pwrite(descriptor, head(layout, boot=boot, epoch=epoch, inode=inode, since=at), 0)
    return descriptor, epoch, at
