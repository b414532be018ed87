"""Read what NATS says of connections: the server's own log with `debug`, and its events of connections as JSON, one a
line.

Laws: an account is the name in a user's token that the server verified; a connection that was refused has none. Where
the log does not begin with the server's id, a line has an account and no session.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.attribution.log_line import LogLine, UnreadLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.adapters.log_readers.bounded_lines import BoundedLine
    from answerable.adapters.log_readers.log_times import LogTimes

CLIENT: Final = "nats_client"
CONNECTIONS_MAX: Final = 65_536
_HEAD: Final = re.compile(r"\[\d{1,10}\] (\d{4})/(\d\d)/(\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,9})?) \[[A-Z]{3}\] ")
_SERVER: Final = re.compile(r"  ID: {1,12}(N[A-Z2-7]{55})")
_CONNECTION: Final = re.compile(r'\S{1,300} - [cmw]id:(\d{1,20}) - (?:"(?:[^"\\]|\\.){0,32768}" - )?')
_AUTHENTICATED: Final = re.compile(
    r'Authenticated JWT: Client "U[A-Z2-7]{55}" \(claim-name: "((?:[^"\\]|\\.){0,1024})"'
)
_CREATED: Final = "Client connection created"
_CLOSED: Final = "Client connection closed"
_REFUSED: Final = frozenset(("Authentication Failure", "Authentication Timeout"))
_EVENTS: Final = frozenset(f"io.nats.server.advisory.v1.client_{what}" for what in ("connect", "disconnect"))


class _Client(msgspec.Struct, frozen=True, gc=False):
    """name_tag: the name in the verified token. name: what the client calls itself."""

    id: int = 0
    user: str = ""
    name: str = ""
    name_tag: str = ""


class _Server(msgspec.Struct, frozen=True, gc=False):
    id: str = ""


class _Event(msgspec.Struct, gc=False):
    type: str
    timestamp: str = ""
    server: _Server = _Server()
    client: _Client = _Client()
    reason: str = ""


class NatsLog:
    """Keeps the server's id and its open connections from file to file: a rotated log goes on without them."""

    def __init__(self, times: LogTimes) -> None:
        self._times = times
        self._json = msgspec.json.Decoder(_Event)
        self._server = ""
        self._accounts: OrderedDict[str, str] = OrderedDict()

    def read(self, lines: Iterable[BoundedLine]) -> Iterator[LogLine | UnreadLine]:
        """Yield one value for each line."""
        for number, text, _, _ in lines:
            if text.startswith("{"):
                yield self._event(number, text)
                continue
            head = _HEAD.match(text)
            if head is None and not text:
                continue
            if head is None:
                yield UnreadLine(number, "broken")
                continue
            at = self._times.stamped(f"{head[1]}-{head[2]}-{head[3]} {head[4]}")
            yield self._said(number, at, text, head.end())

    def _said(self, number: int, at: int, text: str, start: int) -> LogLine:
        found = _CONNECTION.match(text, start)
        if found is None:
            server = _SERVER.fullmatch(text, start)
            if server is not None:
                self._server = server[1]
                self._accounts.clear()
            return LogLine(number, at, "")
        connection, start = found[1], found.end()
        if text.startswith(_CREATED, start):
            self._accounts.pop(connection, None)
            return LogLine(number, at, "")
        let_in = _AUTHENTICATED.match(text, start)
        if let_in is not None:
            self._accounts[connection] = let_in[1]
            if len(self._accounts) > CONNECTIONS_MAX:
                self._accounts.popitem(last=False)
        if text.startswith(_CLOSED, start):
            account = self._accounts.pop(connection, "")
        else:
            account = self._accounts.get(connection, "")
        return LogLine(number, at, account, self._session(self._server, connection) if account else ())

    def _event(self, number: int, text: str) -> LogLine | UnreadLine:
        try:
            event = self._json.decode(text)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            return UnreadLine(number, "broken")
        at = self._times.stamped(event.timestamp.replace("T", " ", 1))
        client = event.client
        account = client.name_tag or client.user
        if event.type not in _EVENTS or event.reason in _REFUSED or not account:
            return LogLine(number, at, "")
        return LogLine(number, at, account, self._session(event.server.id, str(client.id)), client.name)

    @staticmethod
    def _session(server: str, connection: str) -> tuple[tuple[str, str], ...]:
        return ((CLIENT, f"server={server} cid={connection}"),) if server else ()
