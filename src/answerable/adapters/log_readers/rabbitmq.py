"""Read RabbitMQ's log: who was authenticated on which connection, and which connection closed.

Law: what a client chose ends no message. The server writes a message of several lines as lines of one time and process,
which are read as the one message that they are; its account is what stands at the end, behind the client's own name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.core.attribution.log_line import LogLine, UnreadLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from answerable.adapters.log_readers.bounded_lines import BoundedLine
    from answerable.adapters.log_readers.log_times import LogTimes

CONNECTION: Final = "rabbitmq_connection"
MESSAGE_CHARS_MAX: Final = 65_536
_HEAD: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3,6}\S{0,6}) \[\w{1,10}\] (<\d+\.\d+\.\d+>) ")
_PLACE: Final = r"(?:<\d+\.\d+\.\d+> )?\(?([^\s()]+ -> [^\s(),:]+:\d+)"
_AUTHENTICATED: Final = re.compile(
    rf"connection {_PLACE}(?: - (.*))?\)?: user '([^']*)' authenticated and granted access to vhost '[^']*'",
    re.DOTALL,
)
_CLOSED: Final = re.compile(
    rf"closing AMQP connection {_PLACE}(?: - (.*))?, vhost: '[^']*', user: '([^']*)'(?:, duration: '[^']*')?\).*",
    re.DOTALL,
)


class RabbitmqLog:
    """Connections that no user was authenticated on have no account."""

    def __init__(self, times: LogTimes) -> None:
        self._times = times

    def read(self, lines: Iterable[BoundedLine]) -> Iterator[LogLine | UnreadLine]:
        """Yield one value for each message of the log."""
        begun, head, pieces, size = 0, ("", ""), list[str](), 0
        for number, text, _, _ in lines:
            found = _HEAD.match(text)
            now = (found[1], found[2]) if found is not None else ("", "")
            if pieces and now != head:
                yield self._message(begun, head[0], "\n".join(pieces))
                pieces, size = [], 0
            if found is None:
                if text:
                    yield UnreadLine(number, "broken")
                continue
            if not pieces:
                begun, head = number, now
            # Of a longer message the end is kept, where the server says who it was.
            pieces.append(text[found.end() :])
            size += len(pieces[-1])
            while size > MESSAGE_CHARS_MAX and len(pieces) > 2:
                size -= len(pieces.pop(1))
        if pieces:
            yield self._message(begun, head[0], "\n".join(pieces))

    @staticmethod
    def begun(lines: Sequence[BoundedLine]) -> int:
        """Return how many of the last lines are of the message that may not have ended."""
        found = _HEAD.match(lines[-1].text) if lines else None
        if found is None:
            return 0
        held = 1
        for line in reversed(lines[:-1]):
            other = _HEAD.match(line.text)
            if other is None or other.groups() != found.groups():
                break
            held += 1
        return held

    def _message(self, number: int, time: str, text: str) -> LogLine:
        at = self._times.stamped(time)
        found = _AUTHENTICATED.fullmatch(text) or _CLOSED.fullmatch(text)
        if found is None:
            return LogLine(number, at, "")
        return LogLine(number, at, found[3], ((CONNECTION, found[1]),), found[2] or "")
