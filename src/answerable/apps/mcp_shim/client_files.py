"""Write the files of `answerable mcp wrap` and `unwrap`, each atomically, and the client's configuration last.

A crash at any point leaves the configuration as before or as intended, and running the command again continues. The
backup, mode 0600, is the file before anything in it was wrapped.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from answerable.apps.mcp_shim.client_config import (
    SECRETS_SUFFIX,
    holds_wrapped,
    lost_by,
    server_documents,
    unwrapped,
    wrapped,
)
from answerable.apps.mcp_shim.masking import masked
from answerable.errors import Unavailable, shown
from answerable.errors.codes.services import (
    CLIENT_CONFIG_BACKUP_EXISTS,
    CLIENT_CONFIG_DOCUMENTS_EXIST,
    CLIENT_CONFIG_MALFORMED,
    CLIENT_CONFIG_UNREADABLE,
    CLIENT_CONFIG_UNWRITABLE,
)

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.apps.mcp_shim.client_config import ShimCommand

BACKUP_SUFFIX: Final = ".before-answerable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Result of a wrap. diff: unified, of the configuration file, secrets masked. documents: YAML for `answerable apply
    -f`.

    left: as in `Wrapped`.
    """

    diff: str
    documents: str
    left: tuple[str, ...]
    backup: Path


def wrap(path: Path, shim: ShimCommand, *, documents: Path | None = None) -> Report:
    """Rewrite a file in place, after its backup, its secrets and the servers' documents are on disk. documents: path
    for the documents; None to write none.

    Raises as `wrapped`, Malformed (`client_config.documents_exist`), and Unavailable: `client_config.unreadable`,
    `client_config.backup_exists`, `client_config.unwritable`.
    """
    text = _read(path)
    backup = path.with_name(path.name + BACKUP_SUFFIX)
    kept = _read(backup) if backup.exists() else ""
    if kept and not holds_wrapped(text):
        _check_needless(backup, kept, text)
        kept = ""
    change = wrapped(text, shim, file=str(path.absolute()), backup=kept)
    told = server_documents(change.servers)
    if documents is not None and change.servers:
        _check_ours(documents, told)
    try:
        # 1. Files that the new configuration needs. A crash here leaves the configuration as it was.
        if change.original:
            _put(backup, change.original, mode=0o600)
        for name, value in change.secrets.items():
            place = path.with_name(path.name + SECRETS_SUFFIX) / name
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _put(place, value, mode=0o600)
        if documents is not None and change.servers:
            _put(documents, told, mode=0o644)
        # 2. The configuration, replaced atomically.
        _replace(path, change.text)
    except OSError as error:
        raise _unwritable(path, error) from None
    return Report(diff=_diff(text, change.text, path.name), documents=told, left=change.left, backup=backup)


def unwrap(path: Path) -> str:
    """Restore a file and remove the backup; return the unified diff, secrets masked. The secrets' files stay, because
    the registry refers to them.

    Raises as `unwrapped`, and Unavailable: `client_config.unreadable`, `client_config.unwritable`.
    """
    text = _read(path)
    backup = path.with_name(path.name + BACKUP_SUFFIX)
    restored = unwrapped(text, _read(backup))
    try:
        _replace(path, restored)
        # A crash here leaves a backup equal to the file: the next `wrap` detects that and replaces it.
        backup.unlink()
    except OSError as error:
        raise _unwritable(path, error) from None
    return _diff(text, restored, path.name)


def _check_needless(backup: Path, kept: str, text: str) -> None:
    """Check that a leftover backup of an unwrapped file may be replaced: the file must have everything that the backup
    has."""
    lost = lost_by(kept, text)
    if lost:
        raise CLIENT_CONFIG_BACKUP_EXISTS(
            f"backup {shown(backup.name)} has another entry of server {shown(lost[0])} than the file and is not "
            "overwritten: move it away"
        )


def _check_ours(documents: Path, told: str) -> None:
    """Check that existing documents are from an earlier `wrap`: nothing that anybody added is overwritten."""
    if not documents.exists():
        return
    try:
        there = [one for one in yaml.safe_load_all(_read(documents)) if one is not None]
    except yaml.YAMLError:
        there = ["something else"]
    ours: list[Any] = list(yaml.safe_load_all(told))
    if any(one not in ours for one in there):
        raise CLIENT_CONFIG_DOCUMENTS_EXIST(
            f"{shown(documents.name)} already exists with other content and is not overwritten: name another file with "
            "--documents"
        )


def _diff(before: str, after: str, name: str) -> str:
    old, new = masked(before).splitlines(), masked(after).splitlines()
    lines = difflib.unified_diff(old, new, f"{name} (before)", f"{name} (after)", lineterm="")
    return "\n".join(lines) + "\n"


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise CLIENT_CONFIG_UNREADABLE(f"{shown(path.name)} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CLIENT_CONFIG_MALFORMED(f"{shown(path.name)} is not UTF-8") from None


def _write(path: Path, text: str, *, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _put(target: Path, text: str, *, mode: int) -> None:
    """Write a file atomically."""
    unfinished = target.with_name(f".{target.name}.answerable-new")
    _write(unfinished, text, mode=mode)
    unfinished.replace(target)


def _replace(path: Path, text: str) -> None:
    # Follow a symbolic link: the link stays, and the file that it points to changes.
    target = path.resolve()
    _put(target, text, mode=target.stat().st_mode & 0o777)


def _unwritable(path: Path, error: OSError) -> Unavailable:
    return CLIENT_CONFIG_UNWRITABLE(f"{shown(path.name)} cannot be written: {error.strerror}")
