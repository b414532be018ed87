"""An HTTP/2 client of the Workload API that does what no gRPC library would."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events


class RawClient:
    """An HTTP/2 client that keeps to the protocol and to nothing else. It reads only when told to."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        config = h2.config.H2Configuration(client_side=True, validate_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self._events: list[h2.events.Event] = []

    @classmethod
    async def at(cls, path: Path) -> RawClient:
        connected = socket.socket(socket.AF_UNIX)
        connected.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connected, str(path))
        return cls(connected)

    async def flush(self) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, self.h2.data_to_send())

    async def write(self, wire: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, wire)

    async def read(self) -> list[h2.events.Event]:
        """The next events; raises ConnectionError when the other side has hung up."""
        received = await asyncio.get_running_loop().sock_recv(self._socket, 65_536)
        if not received:
            raise ConnectionResetError("hung up")
        return self.h2.receive_data(received)

    async def read_until(self, kind: type[h2.events.Event]) -> Any:
        while True:
            while self._events:
                if isinstance(event := self._events.pop(0), kind):
                    return event
            self._events = await self.read()
            # What was read may have been a good-bye.
            with contextlib.suppress(ConnectionError):
                await self.flush()

    async def read_to_the_end(self) -> None:
        """Returns when the other side has hung up."""
        with contextlib.suppress(ConnectionError):
            while await asyncio.get_running_loop().sock_recv(self._socket, 65_536):
                pass

    def request(self, path: str, body: bytes | None, *more: tuple[str, str]) -> int:
        stream = self.h2.get_next_available_stream_id()
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("workload.spiffe.io", "true"),
            *more,
        ]
        self.h2.send_headers(stream, headers)
        if body is not None:
            self.h2.send_data(stream, struct.pack(">?I", False, len(body)) + body, end_stream=True)
        return stream

    def close(self) -> None:
        self._socket.close()


def asks(connected: socket.socket, path: str, heard: int) -> None:
    """Ask by this very process, and answer what it is asked meanwhile; writes the first answer there."""
    client = RawClient(connected)
    client.request(path, b"")
    connected.sendall(client.h2.data_to_send())
    while got := connected.recv(65_536):
        for event in client.h2.receive_data(got):
            told = event.data if isinstance(event, h2.events.DataReceived) else str(event).encode()
            if isinstance(event, h2.events.DataReceived) or b"grpc-status" in told:
                os.write(heard, told)
                return
        connected.sendall(client.h2.data_to_send())
