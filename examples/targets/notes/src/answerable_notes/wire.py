"""The lines that the broker and the note service exchange."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

ANSWER_BYTES_MAX: Final = 131_072
FAILURES: Final = (
    OSError,
    ValueError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.DelimiterNotFound,
    anyio.EndOfStream,
    anyio.IncompleteRead,
)
"""What a connection raises that failed, or whose other side sends what is no answer."""


class SaysNo(Exception):
    """The service refused; its own words."""


@dataclass(frozen=True)
class Place:
    """host, port: of the service, which is on this machine."""

    host: str
    port: int


class Line:
    """One connection that is logged in."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._answers = BufferedByteReceiveStream(stream)

    @property
    def name(self) -> str:
        """Its own address, as the service sees it."""
        address = self._stream.extra(SocketAttribute.local_address)  # noqa: S610 - of a socket, no query
        return f"{address[0]}:{address[1]}"

    async def ask(self, **request: Any) -> Any:
        """Send one request and return its answer. Raises SaysNo and FAILURES."""
        await self._stream.send(json.dumps(request).encode() + b"\n")
        said = json.loads(await self._answers.receive_until(b"\n", ANSWER_BYTES_MAX))
        match said:
            case {"refused": str(why)}:
                raise SaysNo(why)
            case {"ok": answer}:
                return answer
        raise ValueError("no answer of a note service")


@asynccontextmanager
async def logged_in(place: Place, account: str, password: str) -> AsyncIterator[Line]:
    """Open a connection that is closed after the block. Raises SaysNo and FAILURES."""
    async with await anyio.connect_tcp(place.host, place.port) as stream:
        line = Line(stream)
        await line.ask(login=account, password=password)
        yield line
