"""Read what journald has of sshd and Postfix, as `journalctl -o json` prints it.

Law: a message is sshd's only if the kernel said that root's process wrote it, and Postfix's only if a process of its
service did; what an unprivileged user logs under these names is passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from answerable.adapters.log_readers.postfix import PROGRAMS as OF_POSTFIX
from answerable.adapters.log_readers.postfix import UNIT, PostfixLog
from answerable.adapters.log_readers.sshd import PROGRAMS, SshdLog
from answerable.core.attribution.log_line import LogLine, UnreadLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.adapters.log_readers.bounded_lines import BoundedLine
    from answerable.adapters.log_readers.log_times import LogTimes

_DIGITS_MAX: Final = 18


class _Entry(msgspec.Struct, gc=False):
    """written_by: the user of the process that wrote it, by the kernel. unit: of whose service it is, by
    systemd. said: a list of bytes where it is no text."""

    at: str = msgspec.field(name="__REALTIME_TIMESTAMP")
    program: object = msgspec.field(name="SYSLOG_IDENTIFIER", default="")
    process: str = msgspec.field(name="_PID", default="")
    written_by: str = msgspec.field(name="_UID", default="")
    unit: str = msgspec.field(name="_SYSTEMD_UNIT", default="")
    host: str = msgspec.field(name="_HOSTNAME", default="")
    said: object = msgspec.field(name="MESSAGE", default=None)


class JournaldLog:
    """Entries of other programs are passed over."""

    def __init__(self, times: LogTimes) -> None:
        self._sshd, self._postfix = SshdLog(times), PostfixLog()
        self._json = msgspec.json.Decoder(_Entry)

    def read(self, lines: Iterable[BoundedLine]) -> Iterator[LogLine | UnreadLine]:
        """Yield one value for each entry of sshd and Postfix, and each line that is no entry."""
        for number, text, _, _ in lines:
            try:
                entry = self._json.decode(text)
            except (msgspec.MsgspecError, RecursionError, UnicodeError):
                yield UnreadLine(number, "broken")
                continue
            # A list where it is no text, or was given more than once, which any user of the host can do.
            program = entry.program if isinstance(entry.program, str) else ""
            is_postfix = bool(OF_POSTFIX.fullmatch(program) and UNIT.fullmatch(entry.unit))
            if not is_postfix and (program not in PROGRAMS or entry.written_by != "0"):
                continue
            if not isinstance(entry.said, str) or not (entry.at.isdecimal() and len(entry.at) <= _DIGITS_MAX):
                yield UnreadLine(number, "broken")
                continue
            at = int(entry.at) // 1000
            if is_postfix:
                yield self._postfix.said(number, at, entry.said)
            else:
                yield self._sshd.said(number, at, entry.process, entry.said, entry.host)
