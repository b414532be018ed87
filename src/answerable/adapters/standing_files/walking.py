"""Walk directories that a user names: no link is followed, no file that could block is opened, and everything is
bounded."""

from __future__ import annotations

import os
import pwd
import stat
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Final

from answerable.ports.configuration_files import ShownFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FILES_MAX: Final = 20_000
ENTRIES_MAX: Final = 500_000
FILE_BYTES_MAX: Final = 1_048_576
DEPTH_MAX: Final = 16
SKIPPED: Final = frozenset({".git", ".venv", "__pycache__", "node_modules", "site-packages", "venv"})
NAMES: Final = (
    "*.cfg", "*.conf", "*.env", "*.ini", "*.json", "*.jsonc", "*.key", "*.pem", "*.properties", "*.ps1", "*.sh",
    "*.tf", "*.tfvars", "*.toml", "*.yaml", "*.yml", ".env*", ".git-credentials", ".gitconfig", ".netrc", ".npmrc",
    ".pgpass", ".pypirc", "_netrc", "config", "credentials", "id_dsa", "id_ecdsa", "id_ed25519", "id_rsa",
    "kubeconfig*", "*.kubeconfig", ".my.cnf", "my.cnf", ".bash*", ".profile", ".zsh*", "Dockerfile*",
    "pgpass.conf",
)  # fmt: skip


class LocalConfigurationFiles:
    """Implements ports.configuration_files.ConfigurationFiles. A file that is named explicitly is read whatever its
    name."""

    def shown(self, paths: Iterable[str]) -> Iterator[ShownFile]:
        left = [FILES_MAX, ENTRIES_MAX]
        for path in paths:
            try:
                # An explicitly named path may be a link; links below it are not followed.
                real = os.path.realpath(path, strict=True)
                if os.path.isdir(real):
                    yield from _below(real, left)
                else:
                    yield _read(real)
            except OSError as error:
                yield ShownFile(path=path, fault=_words(error))


def _below(root: str, left: list[int]) -> Iterator[ShownFile]:
    waiting = [(root, 0)]
    while waiting:
        directory, depth = waiting.pop()
        try:
            with os.scandir(directory) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            yield ShownFile(path=directory, fault=_words(error))
            continue
        for entry in entries:
            left[1] -= 1
            if left[1] < 0 or left[0] <= 0:
                yield ShownFile(path=directory, fault=f"more than {FILES_MAX} files: name fewer at a time")
                return
            if entry.is_symlink():
                if any(fnmatch(entry.name, one) for one in NAMES):
                    yield ShownFile(path=entry.path, fault="a link, which is not followed")
            elif entry.is_dir(follow_symlinks=False):
                if entry.name in SKIPPED:
                    continue
                if depth >= DEPTH_MAX:
                    yield ShownFile(path=entry.path, fault=f"more than {DEPTH_MAX} levels deep")
                else:
                    waiting.append((entry.path, depth + 1))
            elif any(fnmatch(entry.name, one) for one in NAMES):
                left[0] -= 1
                yield _read(entry.path)


def _read(path: str) -> ShownFile:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as opened:
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode):
                return ShownFile(path=path, fault="no file")
            content = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        return ShownFile(path=path, fault=_words(error))
    if len(content) > FILE_BYTES_MAX:
        return ShownFile(path=path, fault=f"longer than {FILE_BYTES_MAX} bytes")
    if b"\0" in content:
        return ShownFile(path=path, fault="no text")
    return ShownFile(
        path=path,
        text=content.decode("utf-8", "replace"),
        owner=_owner(status.st_uid),
        changed_at=status.st_mtime_ns // 1_000_000,
        readers=_readers(status.st_mode),
    )


def _readers(mode: int) -> str:
    if mode & stat.S_IROTH:
        return "everybody on this machine"
    return "its group" if mode & stat.S_IRGRP else ""


def _owner(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _words(error: OSError) -> str:
    return (error.strerror or "unknown fault").lower()
