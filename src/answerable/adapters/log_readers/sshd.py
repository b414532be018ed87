"""Read sshd's log: of syslog with either form of time, or sshd's own file without any.

Law: a session is one that sshd accepted; what is said before that is by nobody, and has no account.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from msgspec import structs

from answerable.core.attribution.log_line import LogLine, UnreadLine
from answerable.core.attribution.step import HOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.adapters.log_readers.bounded_lines import BoundedLine
    from answerable.adapters.log_readers.log_times import LogTimes

SERIAL: Final = "ssh_serial"
AUTHORITY: Final = "ssh_ca"
KEY: Final = "ssh_key"
PORT: Final = "ssh_client_port"
USER: Final = "ssh_login"
SESSIONS_MAX: Final = 16_384
_SYSLOG: Final = re.compile(
    r"(?:<\d{1,3}>)?(?:(?P<old>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)|(?P<new>\d{4}-\d\d-\d\d[T ]\S{8,24})) "
    r"(?P<host>\S{1,255}) (?P<program>[\w./-]{1,64})(?:\[(?P<pid>\d{1,10})\])?: "
)
PROGRAMS: Final = frozenset(("sshd", "sshd-session", "sshd-auth"))
_ACCEPTED: Final = re.compile(
    r"Accepted \S{1,40} for (\S{1,255}) from (\S{1,255}) port (\d{1,5}) ssh2(?:: (.*))?"
)
_CERTIFICATE: Final = re.compile(r"\S+-CERT (\S+) ID (.*) \(serial (\d{1,20})\) CA \S+ (\S+)")
_OF_SESSION: Final = (
    "pam_unix(sshd:session): session ",
    "Starting session: ",
    "Close session: ",
    "User child is on pid ",
    "Received disconnect from ",
    "Disconnected from user ",
)
"""How lines begin that sshd writes for a session after it accepted it."""


class SshdLog:
    """Lines of other programs in the same file are passed over."""

    def __init__(self, times: LogTimes) -> None:
        self._times = times
        self._sessions: OrderedDict[str, LogLine] = OrderedDict()

    def read(self, lines: Iterable[BoundedLine]) -> Iterator[LogLine | UnreadLine]:
        """Yield one value for each line of sshd."""
        for number, text, _, _ in lines:
            head = _SYSLOG.match(text)
            if head is None:
                # sshd writes its own file, by option -E, without time and process.
                yield self.said(number, 0, "", text) if text else UnreadLine(number, "broken")
            elif head["program"] in PROGRAMS:
                at = (
                    self._times.without_year(head["old"])
                    if head["old"]
                    else self._times.stamped(head["new"].replace("T", " ", 1))
                )
                yield self.said(number, at, head["pid"] or "", text[head.end() :], head["host"])

    def said(self, number: int, at: int, process: str, message: str, host: str = "") -> LogLine:
        """Return what sshd says in one message. host: of the line; empty where it names none."""
        accepted = _ACCEPTED.fullmatch(message)
        if accepted is not None:
            line = _session(number, at, accepted, process, host)
            if process:
                self._sessions[process] = line
                self._sessions.move_to_end(process)
                if len(self._sessions) > SESSIONS_MAX:
                    self._sessions.popitem(last=False)
            return line
        known = self._sessions.get(process) if process and message.startswith(_OF_SESSION) else None
        return structs.replace(known, number=number, at=at) if known else LogLine(number, at, "")


def _session(number: int, at: int, accepted: re.Match[str], process: str, host: str) -> LogLine:
    login, address, port, key = accepted[1], accepted[2], accepted[3], accepted[4] or ""
    origin = f"{host}[{process}] {address} port {port}"
    certificate = _CERTIFICATE.fullmatch(key)
    if certificate is None:
        return LogLine(number, at, login, origin=origin)
    where = ((HOST, host),) if host else ()
    mark, name, serial, authority = certificate.groups()
    session = ((SERIAL, serial), (AUTHORITY, authority), (KEY, mark), (PORT, port), (USER, login))
    return LogLine(number, at, name, (*session, *where), "", login, origin=origin)
