"""The steps before a log can be written: take its directory, verify it, cut a torn end, say so."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.tlog_files import directory as files
from answerable.adapters.tlog_files.recovery import read_stored
from answerable.adapters.tlog_files.segments import Segments
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.errors import Broken, Unavailable, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from answerable.adapters.tlog_files.recovery import Stored
    from answerable.adapters.tlog_files.settings import TlogFilesSettings
    from answerable.core.identity.principal import UnixMillis
    from answerable.core.ledger.entry import Entry
    from answerable.core.tlog.note import VerifierKey

SYNC_ROUNDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """lock: descriptor that holds the log. inline: sync in the loop.

    first_entry: to be written before any other; None for a log that was closed in order.
    """

    lock: int
    stored: Stored
    segments: Segments
    first_entry: Entry | None
    inline: bool


@contextmanager
def port_errors(what: str) -> Iterator[None]:
    """Turn an OSError into Unavailable: `ledger.full` where there is no room, else `ledger.unreadable`."""
    try:
        yield
    except OSError as error:
        code = "ledger.full" if error.errno in files.NO_ROOM else "ledger.unreadable"
        reason = os.strerror(error.errno).lower() if error.errno else "unknown error"
        raise Unavailable(f"{what}: {reason}", code=code, port="ledger") from error


def opened(
    directory: Path,
    *,
    key: VerifierKey,
    settings: TlogFilesSettings,
    now: UnixMillis,
    monotonic: Callable[[], float],
) -> Opening:
    """Take the log in `directory`, made if need be, and get it ready for its first write.

    Raises Unavailable (`ledger.locked`, `ledger.full`, `ledger.unreadable`) or Broken (`ledger.corrupt`,
    `ledger.entries_missing`, `ledger.root_mismatch`, `ledger.key_mismatch`).
    """
    with port_errors(f"cannot open the log in {shown(directory)}"):
        files.made(directory)
        lock = files.locked(directory)
        segments: Segments | None = None
        try:
            stored = read_stored(directory, origin=key.name, key=key)
            _settle_key(directory, key, is_new=stored.size == 0)
            first_entry = _first_entry(stored, key, now)
            segments = Segments(directory, key.name, settings, stored)
            segments.resume(stored)
            inline = settings.commit == "inline" or (
                settings.commit == "auto"
                and segments.sync_seconds(SYNC_ROUNDS, monotonic) <= settings.inline_sync_seconds_max
            )
        except BaseException:
            if segments is not None:
                segments.close()
            with suppress(OSError):
                os.close(lock)
            raise
    return Opening(lock=lock, stored=stored, segments=segments, first_entry=first_entry, inline=inline)


def _settle_key(directory: Path, key: VerifierKey, *, is_new: bool) -> None:
    """Keep the verifier key beside the log; a log that has another one is not opened."""
    path = directory / files.PUBLIC_KEY
    wanted = key.formatted().encode() + b"\n"
    kept = path.read_bytes() if path.exists() else None
    if kept is None or (is_new and kept != wanted):
        files.replace_files(directory, {files.PUBLIC_KEY: wanted})
    elif kept != wanted:
        raise Broken(
            f"the log belongs to the key in {shown(files.PUBLIC_KEY)}, which is another one",
            code="ledger.key_mismatch",
        )


def _first_entry(stored: Stored, key: VerifierKey, now: UnixMillis) -> Entry | None:
    """What opening adds. Nothing after a closing in order, so that who only reads leaves no trace."""
    if stored.size == 0:
        return _genesis(key, now)
    return None if stored.clean else _recovery(stored, now)


def _genesis(key: VerifierKey, now: UnixMillis) -> Entry:
    return sealed_entry(Tag.GENESIS, at=now, fields={"key": key.formatted(), "origin": key.name})


def _recovery(stored: Stored, now: UnixMillis) -> Entry:
    """Reopening a log that was not closed in order is an entry too: its size, and what was cut."""
    torn = stored.cut
    return sealed_entry(
        Tag.RECOVERY,
        at=now,
        fields={
            "clean": stored.clean,
            "cut_at": torn.offset if torn else 0,
            "cut_bytes": torn.size if torn else 0,
            "cut_segment": torn.segment if torn else "",
            "sealed": stored.sealed.size,
            "size": stored.size,
        },
    )
