"""Read the file of MariaDB's audit plugin (`server_audit`). The general log is not read, because a statement of several
lines can hold what looks like the next record.

Laws: an account is one that the server let in; a line that begins as a record and is none is ambiguous, because the
plugin writes names of users and databases as clients sent them.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from answerable.core.attribution.content import Said
from answerable.core.attribution.log_line import LogLine, UnreadLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.adapters.log_readers.bounded_lines import BoundedLine
    from answerable.adapters.log_readers.log_times import LogTimes

CONNECTION: Final = "mariadb_connection"
REFUSED_MAX: Final = 16_384
_HEAD: Final = re.compile(
    r"(\d{4})(\d\d)(\d\d) (\d\d:\d\d:\d\d),[^,]{0,255},([^,]{0,384}),[^,]{0,255},(\d{1,20}),\d{1,20},([A-Z_]{3,20}),"
)
_TAIL: Final = re.compile(r"[^,]{0,256},(?:'(.*)'|[^,']*),\d{0,6}")
_BEGINNING: Final = re.compile(r"\d{8} \d\d:\d\d:\d\d,")
_REFUSED: Final = "FAILED_CONNECT"
_ENDED: Final = "DISCONNECT"
_QUERY: Final = "QUERY"
_AS_HEX: Final = re.compile(
    r"EXECUTE IMMEDIATE CONVERT\(X\\?'([0-9a-fA-F]{2,})(\\?' USING utf8mb4\))?.*", re.DOTALL
)
"""How the broker sends a statement. The plugin cuts long ones."""


class MariadbLog:
    """Times are those of the server's own clock and name no zone."""

    def __init__(self, times: LogTimes) -> None:
        self._times = times
        self._refused: OrderedDict[str, None] = OrderedDict()

    def read(self, lines: Iterable[BoundedLine]) -> Iterator[LogLine | UnreadLine]:
        """Yield one value for each record."""
        for number, text, is_cut, _ in lines:
            found = _HEAD.match(text)
            tail = None if found is None else _TAIL.fullmatch(text, found.end())
            if found is None or not (is_cut or tail):
                yield UnreadLine(number, "ambiguous" if _BEGINNING.match(text) else "broken")
                continue
            year, month, day, clock, account, connection, operation = found.groups()
            at = self._times.stamped(f"{year}-{month}-{day} {clock}")
            if self._was_refused(connection, operation):
                yield LogLine(number, at, "")
            else:
                content = _statement(tail[1] if tail else None) if operation == _QUERY else ()
                yield LogLine(number, at, account, ((CONNECTION, connection),), content=content)

    def _was_refused(self, connection: str, operation: str) -> bool:
        """Whether the server let nobody in on this connection. Of such a one there is its refusal and its end alone."""
        if operation == _REFUSED:
            self._refused[connection] = None
            if len(self._refused) > REFUSED_MAX:
                self._refused.popitem(last=False)
            return True
        was_refused = connection in self._refused
        if was_refused:
            del self._refused[connection]
        return was_refused and operation == _ENDED


def _statement(text: str | None) -> tuple[Said, ...]:
    """Return the statement of a query; of one that the broker sent as octets, what they stand for."""
    if text is None:
        return (Said("statement", (), "cut"),)
    found = _AS_HEX.fullmatch(text)
    if found is None:
        return (Said("statement", (text,)),)
    octets = bytes.fromhex(found[1][: len(found[1]) // 2 * 2])
    return (Said("statement", (octets.decode("utf-8", "ignore"),), "all" if found[2] else "begin"),)
