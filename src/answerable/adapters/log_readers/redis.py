"""Read what Redis writes of connections: its own log at level `verbose`, and entries of `ACL LOG` as JSON, one a line.

Laws: an account is what the server says of a connection behind the client's own name, which has no spaces; the server
cuts its lines, so that one whose user is not whole is ambiguous; an attempt to sign in that was refused has no account.
The log says who used a connection when it ends, and the server's refusals say it of one command.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.attribution.content import Said
from answerable.core.attribution.log_line import LogLine, UnreadLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.adapters.log_readers.bounded_lines import BoundedLine
    from answerable.adapters.log_readers.log_times import LogTimes

CLIENT: Final = "redis_client"
_HEAD: Final = re.compile(r"\d{1,10}:[A-Z] (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d:\d\d:\d\d\.\d{3}) ([.*#-]) ")
_CLOSED: Final = "Client closed connection "
_SPOKE_WRONGLY: Final = re.compile(r"Protocol error \([^()]{1,80}\) from client: ")
_CONNECTION: Final = re.compile(r"id=(\d{1,20}) addr=(\S{1,300}) ")
_UNIX: Final = "unix"


class _Refusal(msgspec.Struct, gc=False):
    """One entry of `ACL LOG`, which may be of several refusals. client: of the last of them. object: the key or
    channel that was refused."""

    reason: str
    username: str
    client: str = msgspec.field(name="client-info")
    at: int = msgspec.field(name="timestamp-last-updated", default=0)
    object: str = ""


class RedisLog:
    """Both forms may be in one file. Times of the server's log name no zone."""

    def __init__(self, times: LogTimes) -> None:
        self._times = times
        self._json = msgspec.json.Decoder(_Refusal)

    def read(self, lines: Iterable[BoundedLine]) -> Iterator[LogLine | UnreadLine]:
        """Yield one value for each line."""
        for number, text, _, _ in lines:
            if text.startswith("{"):
                yield self._refusal(number, text)
                continue
            head = _HEAD.match(text)
            if head is None and not text:
                continue
            if head is None:
                yield UnreadLine(number, "broken")
                continue
            at = self._times.dated(head[1], head[2], head[3], head[4])
            wrong = _SPOKE_WRONGLY.match(text, head.end())
            if head[5] == "-" and text.startswith(_CLOSED, head.end()):
                yield _of_client(number, at, text[head.end() + len(_CLOSED) :])
            elif wrong is not None:
                yield _of_client(number, at, text[wrong.end() :].partition(". Query buffer")[0])
            else:
                yield LogLine(number, at, "")

    def _refusal(self, number: int, text: str) -> LogLine | UnreadLine:
        try:
            entry = self._json.decode(text)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            return UnreadLine(number, "broken")
        at = entry.at and max(1, entry.at)
        if entry.reason == "auth":
            return LogLine(number, at, "")
        line = _of_client(number, at, entry.client)
        if isinstance(line, UnreadLine):
            return line
        named = entry.reason in ("key", "channel") and entry.object
        return msgspec.structs.replace(
            line, account=entry.username, content=(Said("key", (entry.object,), "some"),) if named else ()
        )


def _of_client(number: int, at: int, client: str) -> LogLine | UnreadLine:
    """Return what the server says of one connection."""
    found = _CONNECTION.match(client)
    if found is None:
        return LogLine(number, at, "")
    before, _, behind = client.partition(" user=")
    account, end, _ = behind.partition(" ")
    if not end:
        return UnreadLine(number, "ambiguous")
    place = _UNIX if found[2].startswith("/") else found[2]
    label = before.partition(" name=")[2].partition(" ")[0]
    return LogLine(number, at, account, ((CLIENT, f"id={found[1]} addr={place}"),), label)
