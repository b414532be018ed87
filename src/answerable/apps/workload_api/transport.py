"""A transport for one Unix-socket connection that also reports which process sent the received bytes.

Neither asyncio nor uvloop reads the kernel's sender credentials (SCM_CREDENTIALS, unix(7)); both drop them.

Laws: bytes from two processes are never delivered as one piece (the kernel does not mix them); descriptors sent along
are not accepted; unsent bytes have a limit at which the protocol is told to pause, as with asyncio's transports.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

READ_BYTES: Final = 65_536
WRITE_BYTES_HIGH: Final = 65_536
WRITE_BYTES_LOW: Final = 16_384

_UCRED: Final = struct.Struct("3i")
# Room for the credentials and nothing else: the kernel closes descriptors that do not fit.
_SAID_BYTES: Final = socket.CMSG_SPACE(_UCRED.size)


class HearingProtocol(Protocol):
    """The callbacks of the transport: `heard`, and otherwise as in asyncio.Protocol."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called once, first."""
        ...

    def heard(self, data: bytes, sender: int) -> None:
        """Called with received bytes and the pid of their sender; 0 if the kernel does not report it."""
        ...

    def pause_writing(self) -> None:
        """Called when too many bytes wait to be sent."""
        ...

    def resume_writing(self) -> None:
        """Called when they were sent."""
        ...

    def connection_lost(self, exc: Exception | None) -> None:
        """Called once, last."""
        ...


def tell_senders(connected: socket.socket) -> None:
    """Have the kernel report senders; set on a listening socket, it applies to the accepted connections, too."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)


class SenderTransport(asyncio.Transport):
    """Reads and writes a connected, non-blocking socket, and closes it in the end. For the loop's thread only."""

    def __init__(self, connected: socket.socket, protocol: HearingProtocol) -> None:
        super().__init__({"socket": connected})
        self._loop = asyncio.get_running_loop()
        self._socket = connected
        self._number = connected.fileno()
        self._protocol = protocol
        self._unsent = bytearray()
        self._closing = False
        self._reading = False
        self._full = False
        tell_senders(connected)
        protocol.connection_made(self)
        self.resume_reading()

    def get_protocol(self) -> asyncio.BaseProtocol:
        return cast("asyncio.BaseProtocol", self._protocol)

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._number)

    def resume_reading(self) -> None:
        if not (self._closing or self._reading):
            self._reading = True
            self._loop.add_reader(self._number, self._read)

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def write(self, data: Any) -> None:
        if self._closing or not data:
            return
        if not self._unsent:
            self._loop.add_writer(self._number, self._write)
        self._unsent += data
        # Most data fits at once, and the answer need not wait for the loop's next round.
        self._write()
        if len(self._unsent) > WRITE_BYTES_HIGH and not self._full:
            self._full = True
            self._protocol.pause_writing()

    def close(self) -> None:
        """Close after sending what was written."""
        if not self._closing:
            self.pause_reading()
            self._closing = True
            if not self._unsent:
                self._loop.call_soon(self._end, None)

    def abort(self) -> None:
        self._give_up(None)

    def _read(self) -> None:
        try:
            data, said, _, _ = self._socket.recvmsg(READ_BYTES, _SAID_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._give_up(error)
            return
        if data:
            self._protocol.heard(data, _sender(said))
        else:
            self.close()

    def _write(self) -> None:
        if not self._unsent:
            return
        try:
            sent = self._socket.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._give_up(error)
            return
        del self._unsent[:sent]
        if not self._unsent:
            self._loop.remove_writer(self._number)
            if self._closing:
                self._loop.call_soon(self._end, None)
        if self._full and len(self._unsent) <= WRITE_BYTES_LOW:
            self._full = False
            self._protocol.resume_writing()

    def _give_up(self, error: Exception | None) -> None:
        self.pause_reading()
        if self._unsent:
            self._unsent.clear()
            self._loop.remove_writer(self._number)
        self._closing = True
        self._loop.call_soon(self._end, error)

    def _end(self, error: Exception | None) -> None:
        if self._number < 0:
            return
        self._number = -1
        try:
            self._protocol.connection_lost(error)
        finally:
            self._socket.close()


def _sender(said: Sequence[tuple[int, int, bytes]]) -> int:
    for level, kind, value in said:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(value) == _UCRED.size:
            return int(_UCRED.unpack(value)[0])
    return 0
