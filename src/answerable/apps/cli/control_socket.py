"""HTTP to the control socket of a running server, by the standard library: importing a whole client takes a command
longer than its answer."""

from __future__ import annotations

import json as json_text
import socket
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, IncompleteRead
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPResponse
    from pathlib import Path

    from answerable.core.canonical import JSONValue

HOST: Final = "answerable"
ANSWER_BYTES_MAX: Final = 256 * 1024 * 1024
"""Of what is no server of ours nobody reads more."""
_PATH_CHARACTERS: Final = "/?%:@!$&'()*+,;=~"
"""That stay as they are in a path whose segments are quoted already."""


class SocketAnswer(NamedTuple):
    """What the server answered, whole."""

    status_code: int
    content: bytes


class NoAnswerError(Exception):
    """The server did not answer. failure: one word. is_late: it has not answered in time; else the connection ended."""

    def __init__(self, failure: str, *, is_late: bool = False) -> None:
        super().__init__(failure)
        self.failure, self.is_late = failure, is_late


class ControlSocket:
    """Each request has a connection of its own: whoever waits between two finds none that was closed meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def request(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, JSONValue] | None = None,
    ) -> SocketAnswer:
        """One request, answered whole within `timeout` seconds. Raises NoAnswerError."""
        target = quote(path, safe=_PATH_CHARACTERS) + (f"?{urlencode(params)}" if params else "")
        body, headers = None, {"Accept": "*/*", "Connection": "close"}
        if json is not None:
            body = json_text.dumps(json, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        connection = _UnixConnection(self._path, timeout)
        failure = "ConnectError"
        try:
            connection.connect()
            failure = "WriteError"
            # A server that refuses before it has read all of it has answered all the same.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target, body=body, headers=headers)
            failure = "ReadError"
            with connection.getresponse() as response:
                return SocketAnswer(response.status, _content(response))
        except TimeoutError:
            raise NoAnswerError("ReadTimeout", is_late=True) from None
        except HTTPException:
            raise NoAnswerError("RemoteProtocolError") from None
        except OSError:
            raise NoAnswerError(failure) from None
        finally:
            connection.close()


def _content(response: HTTPResponse) -> bytes:
    content = response.read(ANSWER_BYTES_MAX + 1)
    if len(content) > ANSWER_BYTES_MAX:
        raise NoAnswerError("AnswerTooLarge")
    if response.length:
        raise IncompleteRead(content, response.length)
    return content


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__(HOST, timeout=seconds)
        self._path, self._seconds = path, seconds

    def connect(self) -> None:
        self.sock = _UntilSocket(self._seconds)
        self.sock.connect(str(self._path))


class _UntilSocket(socket.socket):
    """A Unix socket on which all waits together last so many seconds: an answer may come in pieces without end."""

    def __init__(self, seconds: float) -> None:
        super().__init__(socket.AF_UNIX)
        self._until = time.monotonic() + seconds
        self.settimeout(seconds)

    def recv_into(self, *given: Any) -> int:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(left)
        return super().recv_into(*given)
