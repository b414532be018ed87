"""Prepare a log for writing: lock its directory, verify it, cut a torn end and record that."""

from __future__ import annotations

import errno
import logging
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.tlog_files import directory as files
from answerable.adapters.tlog_files.pace import Pace
from answerable.adapters.tlog_files.recovery import read_stored
from answerable.adapters.tlog_files.segments import Segments
from answerable.adapters.tlog_files.tiles import TileFiles
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.errors import shown
from answerable.errors.codes.ledger import (
    LEDGER_FULL,
    LEDGER_KEY_MISMATCH,
    LEDGER_UNREADABLE,
    LEDGER_UNWRITABLE,
)
from answerable.plain_file import NotPlain, read_plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from answerable.adapters.tlog_files.recovery import Stored
    from answerable.adapters.tlog_files.sealing import LogSigner
    from answerable.adapters.tlog_files.settings import TlogFilesSettings
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.entry import Entry
    from answerable.core.tlog.note import VerifierKey
    from answerable.errors import Broken

SYNC_ROUNDS: Final = 30

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The result of opening. lock: descriptor that holds the lock. pace: how its syncs are done. first_entry: the entry
    to write before any other; None for a log that was closed properly."""

    lock: int
    stored: Stored
    segments: Segments
    tiles: TileFiles
    first_entry: Entry | None
    pace: Pace


@contextmanager
def port_errors(what: str, *, log: Path | None = None) -> Iterator[None]:
    """Translate an OSError into Unavailable: `ledger.full` if there is no room, `ledger.unwritable` if the disk accepts
    no writes, else `ledger.unreadable`. log: an open log, whose disk is then checked."""
    try:
        yield
    except OSError as error:
        code = LEDGER_UNREADABLE
        if error.errno in files.NO_ROOM:
            code = LEDGER_FULL
        elif error.errno == errno.EROFS or (log is not None and not files.takes_writes(log)):
            code = LEDGER_UNWRITABLE
        reason = os.strerror(error.errno).lower() if error.errno else "unknown error"
        if isinstance(error, NotPlain):
            reason = f"{shown(error.filename)} is not a plain file: bring it back from a copy"
        raise code(f"{what}: {reason}", port="ledger") from error


def opened(directory: Path, *, signer: LogSigner, settings: TlogFilesSettings) -> Opening:
    """Lock the log in `directory`, created if needed, and prepare it for its first write.

    Raises Unavailable (`ledger.locked`, `ledger.full`, `ledger.unwritable`, `ledger.unreadable`) or Broken
    (`ledger.corrupt`, `ledger.entries_missing`, `ledger.root_mismatch`, `ledger.key_mismatch`).

    1. Create the directories and take the lock. A crash leaves an empty log, or the log as it was.
    2. Verify what is stored, without changes; then remove tiles that a crash during a seal left behind. Tiles that were
       correct and are not any more are made again from the segments: what they were is kept, and an entry says so.
    3. Write `log.pub`. A crash leaves a log without entries, or without its second key: the next opening adds it. Write
       newest notes to their own files if a crash prevented that: the next opening repeats this.
    4. Resume the segment, or cut a torn end and create a new segment. A crash leaves a shorter segment without its torn
       end, which was never acknowledged, or an empty segment, which the next opening removes.
    """
    with port_errors(f"cannot open the log in {shown(directory)}"):
        files.made(directory)
        lock = files.locked(directory)
        segments: Segments | None = None
        try:
            _require_own(directory, signer.keys)
            tiles = TileFiles(directory)
            stored = read_stored(directory, keys=signer.keys, tiles=tiles)
            if stored.damaged:
                _log.warning(
                    "tiles of the log in %s do not lead to the root that was signed: they are made again, and what "
                    "they were is kept in %s; find out what wrote there",
                    shown(directory),
                    files.DAMAGED,
                )
                tiles.keep_damaged()
            tiles.sweep()
            tiles.drop_partials(stored.sealed.full)
            _settle_keys(directory, signer.keys, is_new=stored.extent.size == 0)
            stored.checkpoints.settle()
            stored.cosigned.settle()
            first_entry = _first_entry(stored, signer.key, signer.clock.now())
            segments = Segments(directory, signer.key.name, settings, stored, signer.clock.monotonic)
            segments.resume(stored)
            median = segments.sync_seconds(SYNC_ROUNDS) if settings.commit == "auto" else 0.0
            pace = Pace(
                settings.commit, median_seconds=median, limit_seconds=settings.inline_sync_seconds_max
            )
        except BaseException:
            if segments is not None:
                segments.close()
            with suppress(OSError):
                os.close(lock)
            raise
    return Opening(
        lock=lock, stored=stored, segments=segments, tiles=tiles, first_entry=first_entry, pace=pace
    )


def _require_own(directory: Path, keys: tuple[VerifierKey, ...]) -> None:
    """Refuse a log of other keys before its content is read: by our keys, every signature in it would seem damaged."""
    path = directory / files.PUBLIC_KEY
    kept = read_plain(path).decode("utf-8", "replace").split("\n")[0] if path.exists() else ""
    if kept and kept != keys[0].formatted() and (directory / files.CHECKPOINT).exists():
        raise _other_keys(directory, kept, keys[0])


def _other_keys(directory: Path, kept: str, own: VerifierKey) -> Broken:
    return LEDGER_KEY_MISMATCH(
        f"the log in {shown(directory)} is signed by {shown(kept)}, and this server has the key of "
        f"{shown(own.formatted())}: a log that was moved or copied needs `keys` and `ledger.origin` of where it came "
        "from"
    )


def _settle_keys(directory: Path, keys: tuple[VerifierKey, ...], *, is_new: bool) -> None:
    """Store the verifier keys beside the log. A log with other keys is not opened.

    A second key may be added to a log with one key, and a log with two keys opens with its first key alone.
    """
    path = directory / files.PUBLIC_KEY
    wanted = "".join(f"{key.formatted()}\n" for key in keys).encode()
    kept = read_plain(path) if path.exists() else b""
    if kept == wanted or (kept.startswith(wanted) and not is_new):
        return
    if not kept or is_new or wanted.startswith(kept):
        files.replace_files(directory, {files.PUBLIC_KEY: wanted})
        return
    raise _other_keys(directory, kept.decode("utf-8", "replace").splitlines()[-1], keys[-1])


def _first_entry(stored: Stored, key: VerifierKey, now: UnixMillis) -> Entry | None:
    """Return the entry that opening adds. None after a proper close, so that opening for reading leaves no trace; but
    damage leaves one."""
    if stored.extent.size == 0:
        return _genesis(key, now)
    return None if stored.clean and not stored.damaged else _recovery(stored, now)


def _genesis(key: VerifierKey, now: UnixMillis) -> Entry:
    return sealed_entry(Tag.GENESIS, at=now, members={"key": key.formatted(), "origin": key.name})


def _recovery(stored: Stored, now: UnixMillis) -> Entry:
    """Return the entry about reopening a log that was not closed properly, or whose tiles are damaged: its size, and
    what was cut."""
    torn = stored.cut
    members: dict[str, JSONValue] = {
        "clean": stored.clean,
        "cut_at": torn.offset if torn else 0,
        "cut_bytes": torn.size if torn else 0,
        "cut_segment": torn.segment if torn else "",
        "sealed": stored.sealed.extent.size,
        "size": stored.extent.size,
    }
    if stored.damaged:
        members["tiles_damaged"] = True
    return sealed_entry(Tag.RECOVERY, at=now, members=members)
