"""Send HTTP requests to a running server's control socket, with the standard library only: importing a full HTTP client
takes a command longer than waiting for the answer."""

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
"""Limit of an answer: a larger one is not from this product's server."""
_PATH_CHARACTERS: Final = "/?%:@!$&'()*+,;=~"
"""Characters left unquoted in a path whose segments are already quoted."""


class SocketAnswer(NamedTuple):
    """A complete answer of the server."""

    status_code: int
    content: bytes


class NoAnswerError(Exception):
    """The server did not answer. failure: one word. is_late: whether the time ran out; else the connection ended."""

    def __init__(self, failure: str, *, is_late: bool = False) -> None:
        super().__init__(failure)
        self.failure, self.is_late = failure, is_late


class ControlSocket:
    """Sends each request on its own connection, so that no request meets a connection that was closed while idle."""

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
        """Send one request; the whole answer must arrive within `timeout` seconds. Raises NoAnswerError."""
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
            # A server that refuses before it has read the whole request still sends an answer.
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
