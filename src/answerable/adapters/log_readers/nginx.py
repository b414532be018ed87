"""Read nginx's access log: as JSON with the variables that the page about attribution gives, or in the form
`combined`.

Laws: a user is one that nginx let in, and only a second name of the line; what stands in a request's headers is a
label, and only nginx's own id of a request is its session. Of a line that is too long, the form of the page still has
id and user; the other is ambiguous. Of the address that was asked, the path alone is read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import msgspec

from answerable.adapters.log_readers.log_times import epoch_ms
from answerable.core.attribution.content import Said
from answerable.core.attribution.log_line import LogLine, UnreadLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.adapters.log_readers.bounded_lines import BoundedLine
    from answerable.adapters.log_readers.log_times import LogTimes

REQUEST: Final = "http_x_request_id"
AGENT: Final = re.compile(r"answerable/([0-9a-f]{32})")
"""How the broker calls itself to servers, with the action's id."""
_AGENT_MEMBER: Final = ',"agent":"'
"""Behind it stands what the client chose, and nothing else."""
_TEXT: Final = r'(?:[^"\\]|\\.){0,32768}'
_COMBINED: Final = re.compile(
    r'\S{1,255} - ([^"]{0,1024}) \[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d [+-]\d{4})\] '
    rf'"{_TEXT}" (\d{{3}}) (?:\d{{1,20}}|-) "{_TEXT}" "({_TEXT})"'
)
_BEGINNING: Final = re.compile(r'\S{1,255} - [^"]{0,1024} \[[^"]{1,64}\] "')
_REFUSED: Final = "401"


class _Request(msgspec.Struct, gc=False):
    msec: str
    request_id: str = ""
    user: str = ""
    status: str = ""
    method: str = ""
    uri: str = ""
    agent: str = ""


class NginxLog:
    """Both forms may be in one file."""

    def __init__(self, times: LogTimes) -> None:
        self._times = times
        self._json = msgspec.json.Decoder(_Request)

    def read(self, lines: Iterable[BoundedLine]) -> Iterator[LogLine | UnreadLine]:
        """Yield one value for each request."""
        for number, text, is_cut, _ in lines:
            if text.startswith("{"):
                head, agent, _ = text.partition(_AGENT_MEMBER) if is_cut else (text, "", "")
                yield self._from_json(number, head + "}" if agent else text)
                continue
            found = _COMBINED.match(text)
            if found is None:
                yield UnreadLine(number, "ambiguous" if is_cut and _BEGINNING.match(text) else "broken")
                continue
            user, day, month, year, clock, status, agent = found.groups()
            at = self._times.dated(day, month, year, clock)
            yield _line(number, at, "" if user == "-" else user, status, agent, "")

    def _from_json(self, number: int, text: str) -> LogLine | UnreadLine:
        try:
            one = self._json.decode(text)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            return UnreadLine(number, "broken")
        line = _line(number, epoch_ms(one.msec), one.user, one.status, one.agent, one.request_id)
        return msgspec.structs.replace(line, content=asked(one.method, one.uri)) if one.uri else line


def _line(number: int, at: int, user: str, status: str, agent: str, request: str) -> LogLine:
    labelled = AGENT.fullmatch(agent)
    keys = ((REQUEST, request),) if request else ()
    login = "" if status == _REFUSED else user
    return LogLine(number, at, "", keys, labelled[1] if labelled else "", login)


def asked(method: str, address: str) -> tuple[Said, ...]:
    """Return what was asked. address: path and query, as on the wire; empty texts for what is not known."""
    path = unquote(address.partition("?")[0])
    found = (Said("method", (method,)), Said("path", (path,)))
    return tuple(one for one in found if one.values[0])
