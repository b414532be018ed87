"""Serve one key to one client process, by the signing part of the ssh-agent protocol (draft-ietf-sshm-ssh-agent).

So a lease's key exists only in the broker's memory: not in a file, an argument or an environment, and it is gone when
the broker ends. The socket serves one process, identified by the kernel, with one key.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio
from anyio.abc import SocketAttribute
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from answerable.adapters.ssh_certificates.authority import blob_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import SocketStream

    from answerable.core.lease.credential import Secret

MESSAGE_BYTES_MAX: Final = 65_536
_FAILURE: Final = b"\x05"
_REQUEST_IDENTITIES, _IDENTITIES = 11, b"\x0c"
_SIGN_REQUEST, _SIGN_RESPONSE = 13, b"\x0e"
_PEER: Final = struct.Struct("3i")


class OneKeyAgent:
    """Serves the process that `expect` names; other processes get no answer. on_sign: called at each signature, with
    the pid."""

    def __init__(self, secret: Secret, on_sign: Callable[[int], None]) -> None:
        self._secret = secret
        self._on_sign = on_sign
        self._pid = 0
        self._is_expected = anyio.Event()

    def expect(self, pid: int) -> None:
        """Set the process to serve."""
        self._pid = pid
        self._is_expected.set()

    async def serve(self, stream: SocketStream) -> None:
        """Serve one connection until it ends."""
        async with stream:
            await self._is_expected.wait()
            raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - of a socket
            pid = _PEER.unpack(raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[0]
            if pid != self._pid:
                return
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError):
                while True:
                    (length,) = struct.unpack(">I", await _exactly(stream, 4))
                    if not 1 <= length <= MESSAGE_BYTES_MAX:
                        return
                    answer = self._answer(await _exactly(stream, length))
                    await stream.send(_text(answer))

    def _answer(self, message: bytes) -> bytes:
        certificate = blob_of(self._secret.reveal("certificate"))
        if message[0] == _REQUEST_IDENTITIES:
            return _IDENTITIES + struct.pack(">I", 1) + _text(certificate) + _text(b"")
        if message[0] == _SIGN_REQUEST:
            blob, rest = _taken(message[1:])
            signed, _ = _taken(rest)
            if blob == certificate:
                self._on_sign(self._pid)
                key = load_ssh_private_key(self._secret.reveal("private_key").encode(), password=None)
                assert isinstance(key, Ed25519PrivateKey)  # noqa: S101 - our issuer made it
                signature = key.sign(signed)
                return _SIGN_RESPONSE + _text(_text(b"ssh-ed25519") + _text(signature))
        return _FAILURE


async def _exactly(stream: SocketStream, count: int) -> bytes:
    read = b""
    while len(read) < count:
        read += await stream.receive(count - len(read))
    return read


def _text(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def _taken(content: bytes) -> tuple[bytes, bytes]:
    """Split off the first string of a message. A truncated string is returned as far as it goes."""
    if len(content) < 4:
        return b"", b""
    (length,) = struct.unpack(">I", content[:4])
    return content[4 : 4 + length], content[4 + length :]
