"""Read one project directory within limits, and without following paths out of it.

Laws: no path is opened through a link; a link to a file inside is read at its target, a link out of the project counts
by its text only; exceeding a limit is a fault, never a smaller project.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from answerable.errors import Malformed, Unavailable, shown
from answerable.errors.codes.action import PROJECT_CHANGED, PROJECT_SIZE, PROJECT_UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK_BYTES: Final = 1_048_576

IGNORED_DIRECTORIES: Final = frozenset(
    """
    .git .hg .svn .venv venv site-packages node_modules __pycache__ .mypy_cache .ruff_cache .pytest_cache .tox .nox
    .idea .vscode .answerable
    """.split()
)
"""Directories that are neither written by nor shipped with the project: version control, installed packages, caches,
editor settings, Answerable's data."""
IGNORED_NAMES: Final = ("*.pyc", ".DS_Store", ".env", ".env.*", "agent-manifest.yaml", "agent-manifest.jwt")
"""Files that are compiled, contain secrets or settings of one machine, or are the manifest itself."""

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectLimits:
    """Limits for reading a project. files_max: entries of the whole project. file_bytes_max: of one digested file.
    text_bytes_max: of one file that is parsed. depth_max: nested directories."""

    files_max: int = 50_000
    file_bytes_max: int = 256 * 1024 * 1024
    total_bytes_max: int = 2 * 1024 * 1024 * 1024
    text_bytes_max: int = 16 * 1024 * 1024
    depth_max: int = 32


class ProjectTree:
    """An open project directory; `opened` closes it. `files` and `outside` are relative paths with `/`. links: target
    inside the project, or the link's text, by path."""

    def __init__(self, root: Path, descriptor: int, limits: CollectLimits) -> None:
        self.root = root
        self.limits = limits
        self.files: tuple[str, ...] = ()
        self.links: dict[str, str] = {}
        self.outside: tuple[str, ...] = ()
        self._descriptor = descriptor
        self._bytes = 0

    @classmethod
    @contextmanager
    def opened(cls, root: Path, limits: CollectLimits) -> Iterator[ProjectTree]:
        """Open a project. Raises Unavailable (`project.unreadable`), Malformed (`project.size`)."""
        try:
            real = root.resolve(strict=True)
            descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        except (OSError, RuntimeError) as error:
            raise _unreadable(str(root), error) from None
        try:
            tree = cls(real, descriptor, limits)
            try:
                tree._list()
            except OSError as error:
                raise _unreadable(str(root), error) from None
            yield tree
        finally:
            os.close(descriptor)

    def text(self, path: str) -> bytes | None:
        """Return the bytes of a small file; None if there is none of this name.

        Raises Malformed (`project.size`), Unavailable (`project.unreadable`).
        """
        found = self._open(path)
        if found is None:
            return None
        with _readable(path), open(found, "rb") as file:
            octets = file.read(self.limits.text_bytes_max + 1)
        if len(octets) > self.limits.text_bytes_max:
            raise _too_much(f"{shown(path)} has more than {self.limits.text_bytes_max} bytes")
        return octets

    def digest(self, path: str) -> bytes:
        """Return the SHA-256 of a listed file, or of the text of a link out of the project.

        Raises Malformed (`project.size`), Unavailable (`project.unreadable`, `project.changed`).
        """
        if path in self.outside:
            return sha256(os.fsencode(self.links[path])).digest()
        found = self._open(path)
        if found is None:
            raise PROJECT_CHANGED(f"{shown(path)} was removed while it was read")
        hashed, size = sha256(), 0
        with _readable(path), open(found, "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                hashed.update(chunk)
                size += len(chunk)
                self._bytes += len(chunk)
                if size > self.limits.file_bytes_max:
                    raise _too_much(f"{shown(path)} has more than {self.limits.file_bytes_max} bytes")
                if self._bytes > self.limits.total_bytes_max:
                    raise _too_much(f"the project has more than {self.limits.total_bytes_max} bytes")
        return hashed.digest()

    def names_in(self, path: str) -> tuple[str, ...]:
        """Return the sorted names in a directory, which may be an ignored one; empty if it does not exist."""
        try:
            descriptor = self._descend(tuple(PurePosixPath(path).parts), directory=True)
        except OSError:
            return ()
        try:
            names = sorted(os.listdir(descriptor))
        finally:
            os.close(descriptor)
        if len(names) > self.limits.files_max:
            raise _too_much(f"{shown(path)} holds more than {self.limits.files_max} entries")
        return tuple(names)

    def _list(self) -> None:
        files: list[str] = []
        outside: list[str] = []
        walk = os.fwalk(".", topdown=True, follow_symlinks=False, dir_fd=self._descriptor, onerror=_stop)
        for place, directories, names, descriptor in walk:
            below = "" if place == "." else f"{place.removeprefix('./')}/"
            if below.count("/") > self.limits.depth_max:
                raise _too_much(f"{shown(below)} lies more than {self.limits.depth_max} directories deep")
            linked = [one for one in directories if _is_link(one, descriptor)]
            directories[:] = sorted(set(directories) - set(linked) - IGNORED_DIRECTORIES)
            for name in (*names, *linked):
                if name in IGNORED_DIRECTORIES or any(fnmatchcase(name, one) for one in IGNORED_NAMES):
                    continue
                kind = self._kind(below + name, name, descriptor)
                if kind:
                    (files if kind == "file" else outside).append(below + name)
                if len(files) + len(outside) > self.limits.files_max:
                    raise _too_much(f"the project has more than {self.limits.files_max} files")
        self.files = tuple(sorted((*files, *outside), key=os.fsencode))
        self.outside = tuple(outside)

    def _kind(self, path: str, name: str, descriptor: int) -> str:
        """Return `file`, `outside` for a link that counts by its text only, or empty for any other kind."""
        mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
        if stat.S_ISREG(mode):
            return "file"
        if not stat.S_ISLNK(mode):
            return ""
        target = os.path.realpath(self.root / path)
        inside = os.path.relpath(target, self.root)
        is_inside = inside != ".." and not inside.startswith(f"..{os.sep}") and os.path.isfile(target)
        if is_inside and IGNORED_DIRECTORIES.isdisjoint(inside.split(os.sep)):
            self.links[path] = inside.replace(os.sep, "/")
            return "file"
        self.links[path] = os.readlink(name, dir_fd=descriptor)
        return "outside"

    def _open(self, path: str) -> int | None:
        if path in self.outside:
            return None
        try:
            descriptor = self._descend(
                tuple(PurePosixPath(self.links.get(path, path)).parts), directory=False
            )
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(path, error) from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        return descriptor

    def _descend(self, parts: tuple[str, ...], *, directory: bool) -> int:
        """Open the path one directory at a time, so that no link on the way leads out, even one created meanwhile."""
        if not parts or ".." in parts or parts[0] == "/":
            raise FileNotFoundError(2, "not a path inside the project")
        current = os.dup(self._descriptor)
        for index, part in enumerate(parts):
            is_last = index == len(parts) - 1
            flags = _FLAGS | (os.O_NONBLOCK if is_last and not directory else os.O_DIRECTORY)
            try:
                following = os.open(part, flags, dir_fd=current)
            finally:
                os.close(current)
            current = following
        return current


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unreadable(path, error) from None


def _is_link(name: str, descriptor: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode)


def _stop(error: OSError) -> None:
    """Fail on an unreadable directory, which would otherwise make the project appear smaller."""
    raise _unreadable(str(error.filename or "a directory"), error)


def _unreadable(path: str, error: Exception) -> Unavailable:
    reason = (getattr(error, "strerror", None) or "links in a circle").lower()
    return PROJECT_UNREADABLE(f"cannot read {shown(path)}: {reason}")


def _too_much(message: str) -> Malformed:
    return PROJECT_SIZE(f"{message}: name a smaller directory")
