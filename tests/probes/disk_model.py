"""A disk that keeps no promise but those of POSIX, and what a power cut may leave on it.

Every change is pending until the file, or the directory that has the name, is synced. A cut keeps any of what is
pending and loses the rest: sectors of writes, lengths of files, names. A rename is lost or kept as a whole, unless one
of its two directories was synced since.

What it does not do: lose what was synced, or mix old and new bytes within a sector, except in the last write of all,
which may end at any byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

SECTOR = 512


class Write(NamedTuple):
    """Bytes at a place of a file. A length alone is a truncation: `content` None."""

    inode: int
    offset: int
    content: bytes | None


class Sync(NamedTuple):
    """A file's bytes and length are on the disk from here on."""

    inode: int


class Names(NamedTuple):
    """Names that change together: inode, 0 for a directory, None for nothing any more."""

    changes: tuple[tuple[str, int | None], ...]


class SyncNames(NamedTuple):
    """The names in one directory are on the disk from here on. Empty for the topmost."""

    directory: str


class Said(NamedTuple):
    """The log made a promise to somebody outside: the number of it."""

    number: int


Operation: TypeAlias = Write | Sync | Names | SyncNames | Said
DIRECTORY = 0


@dataclass(slots=True)
class _File:
    durable: bytes = b""
    pending: list[Write] = field(default_factory=list)


Keep: TypeAlias = Callable[[str, int], list[bool]]
"""Of so many things of this kind (`names`, `writes`, `sectors`, `length`), which the cut left."""


class Disk:
    """The state of a disk as operations come. said: the last promise that was made."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """files: what is on it, durably; names with a final slash are empty directories."""
        self._files: dict[int, _File] = {}
        self._durable: dict[str, int] = {}
        self._pending: list[Names] = []
        self._last: Write | None = None
        self.said = 0
        for number, (name, content) in enumerate(files.items(), 1):
            for at, letter in enumerate(name):
                if letter == "/":
                    self._durable[name[:at]] = DIRECTORY
            if not name.endswith("/"):
                self._durable[name] = number
                self._files[number] = _File(content)

    def done(self, operation: Operation) -> None:
        """The process made this call, and it returned."""
        if isinstance(operation, Said):
            self.said = operation.number
            return
        self._last = None
        if isinstance(operation, Write):
            self._files.setdefault(operation.inode, _File()).pending.append(operation)
            self._last = operation if operation.content is not None else None
        elif isinstance(operation, Sync):
            file = self._files.setdefault(operation.inode, _File())
            file.durable, file.pending = _written(file.durable, file.pending), []
        elif isinstance(operation, Names):
            self._pending.append(operation)
        else:
            self._sync_names(operation.directory)

    def live(self) -> dict[str, bytes]:
        """What the process itself reads."""
        return self.image(lambda kind, count: [True] * count)

    def image(self, keep: Keep) -> dict[str, bytes]:
        """Files by path as a cut may leave them. keep: says of each thing whether it came to the disk."""
        names = dict(self._durable)
        for change, kept in zip(self._pending, keep("names", len(self._pending)), strict=True):
            if kept:
                _changed(names, change.changes)
        found: dict[str, bytes] = {}
        for path, inode in sorted(names.items()):
            if not _is_reached(path, names):
                continue
            if inode == DIRECTORY:
                if not any(other.startswith(f"{path}/") for other in names):
                    found[f"{path}/"] = b""
                continue
            file = self._files.setdefault(inode, _File())
            found[path] = _cut(file.durable, file.pending, keep)
        return found

    def torn(self, count: int) -> dict[str, bytes] | None:
        """All of what is pending, but of the last operation, if that is a write, only so many bytes."""
        last = self._last
        if last is None or last.content is None or not 0 <= count < len(last.content):
            return None
        pending = self._files[last.inode].pending
        pending[-1] = Write(last.inode, last.offset, last.content[:count])
        try:
            return self.live()
        finally:
            pending[-1] = last

    def _sync_names(self, directory: str) -> None:
        later = []
        for names in self._pending:
            here = tuple(one for one in names.changes if one[0].rpartition("/")[0] == directory)
            _changed(self._durable, here)
            rest = tuple(one for one in names.changes if one not in here)
            if rest:
                later.append(Names(rest))
        self._pending = later


def _changed(names: dict[str, int], changes: Iterable[tuple[str, int | None]]) -> None:
    for path, inode in changes:
        if inode is None:
            names.pop(path, None)
        else:
            names[path] = inode


def _is_reached(path: str, names: Mapping[str, int]) -> bool:
    above = path.rpartition("/")[0]
    while above:
        if names.get(above) != DIRECTORY:
            return False
        above = above.rpartition("/")[0]
    return True


def _written(content: bytes, writes: Iterable[Write]) -> bytes:
    made = bytearray(content)
    for one in writes:
        if one.content is None:
            _lengthened(made, one.offset)
            del made[one.offset :]
        else:
            _placed(made, one.offset, one.content)
    return bytes(made)


def _cut(content: bytes, writes: list[Write], keep: Keep) -> bytes:
    """Some of the writes: whole ones, then of each that is not kept whole some sectors, then its length at least."""
    made = bytearray(content)
    for one, whole in zip(writes, keep("writes", len(writes)), strict=True):
        if one.content is None:
            if whole:
                _lengthened(made, one.offset)
                del made[one.offset :]
            continue
        pieces = _sectors(one)
        kept = [True] * len(pieces) if whole else keep("sectors", len(pieces))
        for (offset, piece), is_kept in zip(pieces, kept, strict=True):
            if is_kept:
                _placed(made, offset, piece)
        if keep("length", 1)[0]:
            _lengthened(made, one.offset + len(one.content))
    return bytes(made)


def _sectors(write: Write) -> list[tuple[int, bytes]]:
    """The write in pieces that a disk takes whole."""
    pieces, content = [], write.content or b""
    start, stop = write.offset, write.offset + len(content)
    while start < stop:
        end = min((start // SECTOR + 1) * SECTOR, stop)
        pieces.append((start, content[start - write.offset : end - write.offset]))
        start = end
    return pieces


def _placed(made: bytearray, offset: int, content: bytes) -> None:
    _lengthened(made, offset)
    made[offset : offset + len(content)] = content


def _lengthened(made: bytearray, length: int) -> None:
    if len(made) < length:
        made.extend(bytes(length - len(made)))
