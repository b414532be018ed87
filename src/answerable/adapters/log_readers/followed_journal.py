"""Follow the journal of journald, of this machine or in a directory, as journalctl prints it.

Laws: the mark is the cursor of an entry, and reading goes on with that entry, so that it is seen whether it is still
there; an entry has the same digest however often it is printed; nothing is waited for.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.adapters.log_readers.bounded_lines import LINE_BYTES_MAX, BoundedLine
from answerable.adapters.log_readers.followed_file import records_of
from answerable.adapters.log_readers.journalctl import FIELDS, Journalctl, is_cursor
from answerable.core.attribution.followed import BEGIN, LogMark
from answerable.ports.followed_log import LogChunk

if TYPE_CHECKING:
    from answerable.adapters.log_readers.followed_file import PartReader
    from answerable.adapters.log_readers.journalctl import Journal
    from answerable.ports.followed_log import Trouble

CHUNK_BYTES: Final = 1_048_576
WARM_BYTES: Final = 1_048_576
WARM_LINES: Final = 5_000
"""How much before a mark is read again after a start, for what a reader knows of earlier entries."""
RETRY_SECONDS: Final = 5.0
STEADY_SECONDS: Final = 2.0
"""How long journalctl runs without a line before it is taken for sound."""
_KEPT: Final = frozenset((*FIELDS, "__REALTIME_TIMESTAMP", "__MONOTONIC_TIMESTAMP", "_BOOT_ID"))
_log: Final = logging.getLogger("answerable.logs")


class FollowedJournal:
    """Implements ports.followed_log.LogSource. retry_seconds: after which journalctl is started again that ended."""

    def __init__(
        self,
        journal: Journal,
        reader: PartReader,
        *,
        mark: LogMark = BEGIN,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._journal, self._reader, self._mark = journal, reader, mark
        self._retry_seconds = retry_seconds
        self._child: Journalctl | None = None
        self._place: int | None = None
        self._rest = b""
        self._is_cut = self._wants_known = False
        self._is_warm = not mark.cursor or not reader.is_warm
        self._begun_at, self._again_at = 0.0, 0.0
        self._trouble: Trouble = ""

    def close(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None
        if self._place is not None:
            os.close(self._place)
            self._place = None

    @property
    def pid(self) -> int:
        """The process id of journalctl; 0 where it does not run."""
        return self._child.pid if self._child is not None else 0

    def read_on(self, *, now: int) -> LogChunk:
        """Return the next entries."""
        child = self._child or self._started()
        if child is None:
            return LogChunk(trouble=self._trouble)
        code = child.code()
        octets = child.take(CHUNK_BYTES)
        if not self._is_warm:
            return self._warmed(octets, code, now)
        if not octets:
            self._look_after(child, code)
            return LogChunk(trouble=self._trouble)
        return self._chunk(self._lines(octets), now)

    # --- journalctl --------------------------------------------------------------------------------------------

    def _started(self) -> Journalctl | None:
        if time.monotonic() < self._again_at:
            return None
        cursor = self._mark.cursor if is_cursor(self._mark.cursor) else ""
        arguments = [*self._journal.arguments(), *([f"--cursor={cursor}"] if cursor else [])]
        how = ["--follow", "--no-tail"] if self._is_warm else ["--reverse", f"--lines={WARM_LINES}"]
        try:
            self._place = self._journal.opened()
        except OSError:
            self._fail("no journal")
            return None
        try:
            self._child = Journalctl(*how, *arguments)
        except FileNotFoundError:
            self._fail("no journalctl")
            return None
        except OSError as error:
            self._fail("ended", f"it cannot be started: {error.strerror}")
            return None
        self._rest, self._is_cut, self._wants_known = b"", False, bool(cursor)
        self._begun_at = time.monotonic()
        return self._child

    def _look_after(self, child: Journalctl, code: int | None) -> None:
        """Tell whether it still runs and its journal is there."""
        if code is not None:
            self._fail("ended", f"it ended with code {code}: {child.words() or 'it said nothing'}")
            return
        try:
            is_same = self._journal.is_same(self._place)
        except OSError:
            self._fail("no journal")
            return
        if not is_same:
            # Another directory of this name: nothing of it would be told.
            self.close()
        elif time.monotonic() - self._begun_at > STEADY_SECONDS:
            self._trouble = ""

    def _fail(self, why: Trouble, words: str = "") -> None:
        self.close()
        self._again_at = time.monotonic() + self._retry_seconds
        if words and self._trouble != why:
            _log.warning("journalctl, by which a log is followed: %s", words)
        self._trouble = why

    def _warmed(self, octets: bytes, code: int | None, now: int) -> LogChunk:
        """Take in what stands before the mark, newest first, for what a reader knows of earlier entries."""
        self._rest += octets
        if code is None and len(self._rest) < WARM_BYTES:
            return LogChunk(trouble=self._trouble)
        if octets and len(self._rest) < WARM_BYTES:
            return LogChunk(trouble=self._trouble, is_end=False)
        before = [_read(one)[1] for one in reversed(self._rest.split(b"\n")[:-1])]
        for _ in self._reader.read((BoundedLine(0, one.decode("utf-8", "replace")) for one in before), now):
            pass
        self._is_warm = True
        self.close()
        return LogChunk(trouble=self._trouble, is_end=False)

    # --- what it prints ----------------------------------------------------------------------------------------

    def _lines(self, octets: bytes) -> list[bytes]:
        """Return the lines that are whole; of one that is too long nothing but an end."""
        *lines, rest = (self._rest + octets).split(b"\n")
        if lines and self._is_cut:
            lines[0], self._is_cut = b"", False
        if len(rest) > LINE_BYTES_MAX:
            self._is_cut = True
        self._rest = b"" if self._is_cut else rest
        return [one if len(one) <= LINE_BYTES_MAX else b"" for one in lines]

    def _chunk(self, printed: list[bytes], now: int) -> LogChunk:
        base, cursors, texts, is_gap = self._mark, list[str](), list[bytes](), False
        cursor = base.cursor
        for one in printed:
            known, text = _read(one)
            if self._wants_known and known:
                self._wants_known = False
                if known == base.cursor:
                    continue
                # The entry of the mark was removed, and perhaps more behind it.
                is_gap = True
            cursor = known or cursor
            cursors.append(cursor)
            texts.append(text)
        lines = [
            BoundedLine(base.lines + number, text.decode("utf-8", "replace"))
            for number, text in enumerate(texts, 1)
        ]
        ends, at = list[int](), 0
        for text in texts:
            at += len(text)
            ends.append(at)
        records = records_of(self._reader.read(lines, now), base, ends, len(lines))
        chunk = LogChunk(
            records=records,
            octets=b"".join(texts),
            base=base,
            cursors=cursors,
            is_gap=is_gap,
            # It prints the entry of the mark each time that it is started, also where it then fails.
            trouble="" if records else self._trouble,
            is_end=False,
        )
        if records:
            self._mark, self._trouble = chunk.mark_after(records[-1]), ""
        return chunk


def _read(line: bytes) -> tuple[str, bytes]:
    """Return the cursor of an entry, empty where it has none, and what is kept of it, always in the same form."""
    try:
        entry: Any = msgspec.json.decode(line)
        kept = {name: value for name, value in entry.items() if name in _KEPT}
        text = msgspec.json.encode(kept, order="sorted")
    except (msgspec.MsgspecError, AttributeError, RecursionError, UnicodeError):
        return "", line
    cursor = entry.get("__CURSOR")
    return cursor if is_cursor(cursor) else "", text
