"""Somebody who listens on the wire between the broker and PostgreSQL, and takes down the passwords of leases.

The demo needs one to try a credential itself: the product hands them out to nobody. It finds them because the server of
the demo asks for passwords in the clear; with SCRAM, which the product's pages tell to ask for, none is ever sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, SocketAttribute, SocketStream

LEASES: Final = "ans_"
"""How the accounts of leases begin."""
PROTOCOL: Final = 196_608
"""3.0, as the first message of a session says it."""
REQUESTS: Final = frozenset({80_877_103, 80_877_104})
"""For TLS and for GSS encryption: eight bytes before the first message."""
PASSWORD: Final = b"p"
PIECE_BYTES: Final = 65_536
HEARD_BYTES_MAX: Final = 16_384


@dataclass(slots=True, kw_only=True)
class Wire:
    """port: on which the broker reaches the server through us. passwords: by account, of leases alone."""

    port: int
    passwords: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class Ear:
    """One session, until its password has passed."""

    passwords: dict[str, str]
    heard: bytes = b""
    done: bool = False

    def hear(self, piece: bytes) -> None:
        """Listen to what the client sends."""
        if self.done:
            return
        self.heard += piece
        self.done = len(self.heard) > HEARD_BYTES_MAX
        while len(self.heard) >= 8 and int.from_bytes(self.heard[4:8]) in REQUESTS:
            self.heard = self.heard[8:]
        size = int.from_bytes(self.heard[:4])
        first, rest = self.heard[:size], self.heard[size:]
        if len(self.heard) < 8 or len(rest) < 5 or len(rest) < 1 + int.from_bytes(rest[1:5]):
            return
        self.done = True
        words = first[8:].split(b"\0")
        told = dict(zip(words[::2], words[1::2], strict=False))
        account = told.get(b"user", b"").decode(errors="replace")
        if int.from_bytes(first[4:8]) == PROTOCOL and account.startswith(LEASES) and rest[:1] == PASSWORD:
            self.passwords[account] = rest[5 : int.from_bytes(rest[1:5])].decode()


@asynccontextmanager
async def listened_to(server_port: int) -> AsyncIterator[Wire]:
    """Pass everything on between whoever connects to the wire's port and the server on this machine."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    wire = Wire(port=listener.extra(SocketAttribute.local_port))  # noqa: S610 - not Django's
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, partial(_passed_on, wire, server_port))
        yield wire
        tasks.cancel_scope.cancel()


async def _passed_on(wire: Wire, server_port: int, client: SocketStream) -> None:
    async with client:
        try:
            server = await anyio.connect_tcp("127.0.0.1", server_port)
        except OSError:
            return  # As if nobody were there: the client's connection is closed.
        async with server, anyio.create_task_group() as ways:
            ear = Ear(wire.passwords)
            ways.start_soon(_pumped, client, server, ear, ways.cancel_scope)
            ways.start_soon(_pumped, server, client, None, ways.cancel_scope)


async def _pumped(
    source: ByteReceiveStream, sink: ByteSendStream, ear: Ear | None, scope: anyio.CancelScope
) -> None:
    try:
        while True:
            piece = await source.receive(PIECE_BYTES)
            if ear is not None:
                ear.hear(piece)
            await sink.send(piece)
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        scope.cancel()
