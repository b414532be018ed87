"""Records every change that a piece of code makes to files below a directory, and every sync, in order."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from answerable.core.ledger.entry import Receipt
from tests.probes.disk_model import DIRECTORY, Names, Operation, Said, Sync, SyncNames, Write
from tests.worlds.ledger_script import Promised, Teller

_FIRST_INODE = 1_000_000
"""Higher than those of files that were there before."""
_UNRECORDED = ("write", "writev", "pwritev", "truncate", "link", "symlink", "sendfile", "posix_fallocate")


class Recorder:
    """The operations, in the order in which they were made. Stands in for functions of `os` while `recording` lasts.

    Code that changes files in another way is found out by comparing the model's disk with the real one.
    """

    def __init__(self, root: Path, before: Iterable[str] = ()) -> None:
        """before: names that are there already, in the order in which the model's disk was given them."""
        self.operations: list[Operation] = []
        self._root = root.resolve()
        # One change at a time, so that the order noted is the order of the calls.
        self._lock = threading.RLock()
        self._next = _FIRST_INODE
        self._inodes = {name: number for number, name in enumerate(before, 1) if not name.endswith("/")}
        self._files: dict[int, int] = {}
        self._directories: dict[int, str] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record until the end of the block."""
        noted: dict[str, Callable[..., Any]] = {
            "open": self._open,
            "close": self._close,
            "pwrite": self._pwrite,
            "ftruncate": self._ftruncate,
            "fsync": self._sync,
            "fdatasync": self._sync,
            "rename": self._rename,
            "replace": self._rename,
            "unlink": self._unlink,
            "mkdir": self._mkdir,
            "rmdir": self._unlink,
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, instead in noted.items():
                patch.setattr(os, name, self._locked(getattr(os, name), instead))
            for name in _UNRECORDED:
                patch.setattr(os, name, self._elsewhere(getattr(os, name)))
            yield

    def said(self, number: int) -> None:
        """A promise was made."""
        with self._lock:
            self.operations.append(Said(number))

    def _locked(self, real: Callable[..., Any], instead: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                return instead(real, *arguments, **named)

        return call

    def _elsewhere(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *arguments: Any, **named: Any) -> Any:
            assert first not in self._files, f"os.{real.__name__} is not recorded"
            return real(first, *arguments, **named)

        return call

    def _name(self, path: Any) -> str | None:
        full = Path(os.path.abspath(path))
        return full.relative_to(self._root).as_posix() if full.is_relative_to(self._root) else None

    def _open(self, real: Callable[..., int], path: Any, flags: int, *rest: Any, **named: Any) -> int:
        name = self._name(path)
        is_new = name is not None and not os.path.lexists(path)
        fd = real(path, flags, *rest, **named)
        # What a file object closed is not heard of: its number is another's now.
        self._files.pop(fd, None)
        self._directories.pop(fd, None)
        if name is None:
            return fd
        if os.path.isdir(path):
            self._directories[fd] = "" if name == "." else name
            return fd
        if is_new:
            self._next += 1
            self._inodes[name] = self._next
            self.operations.append(Names(((name, self._next),)))
        elif flags & os.O_TRUNC:
            self.operations.append(Write(self._inodes[name], 0, None))
        self._files[fd] = self._inodes[name]
        return fd

    def _close(self, real: Callable[..., None], fd: int) -> None:
        self._files.pop(fd, None)
        self._directories.pop(fd, None)
        real(fd)

    def _pwrite(self, real: Callable[..., int], fd: int, content: Any, offset: int) -> int:
        count = real(fd, content, offset)
        if fd in self._files:
            self.operations.append(Write(self._files[fd], offset, bytes(content)[:count]))
        return count

    def _ftruncate(self, real: Callable[..., None], fd: int, size: int) -> None:
        real(fd, size)
        self.operations.append(Write(self._files[fd], size, None))

    def _sync(self, real: Callable[..., None], fd: int) -> None:
        real(fd)
        if fd in self._files:
            self.operations.append(Sync(self._files[fd]))
        elif fd in self._directories:
            self.operations.append(SyncNames(self._directories[fd]))

    def _rename(self, real: Callable[..., None], source: Any, target: Any) -> None:
        real(source, target)
        old, new = self._name(source), self._name(target)
        assert old is not None
        assert new is not None
        inode = self._inodes[new] = self._inodes.pop(old)
        self.operations.append(Names(((old, None), (new, inode))))

    def _unlink(self, real: Callable[..., None], path: Any, **named: Any) -> None:
        real(path, **named)
        name = self._name(path)
        if name is not None:
            self._inodes.pop(name, None)
            self.operations.append(Names(((name, None),)))

    def _mkdir(self, real: Callable[..., None], path: Any, mode: int = 0o777, **named: Any) -> None:
        real(path, mode, **named)
        name = self._name(path)
        if name not in (None, "."):
            self.operations.append(Names(((name or "", DIRECTORY),)))


class RecordedTeller(Teller):
    """Notes each promise between the operations. history: all that was promised, after each promise."""

    def __init__(self, recorder: Recorder, promised: Promised) -> None:
        super().__init__()
        self.promised = promised.copied()
        self.history: list[Promised] = [promised]
        self._recorder = recorder

    def acknowledged(self, receipt: Receipt) -> None:
        """As Teller says."""
        super().acknowledged(receipt)
        self._noted()

    def published(self, note: str) -> None:
        """As Teller says."""
        super().published(note)
        self._noted()

    def published_cosigned(self, size: int) -> None:
        """As Teller says."""
        super().published_cosigned(size)
        self._noted()

    def _noted(self) -> None:
        self._recorder.said(len(self.history))
        self.history.append(self.promised.copied())
