"""One RPC: receive its request and send its answers within limits, and translate errors to gRPC statuses."""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError
from grpclib.const import Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from h2.exceptions import StreamClosedError

from answerable.apps.workload_api.error_details import ErrorReason
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable, Unverified

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from grpclib.server import Stream

    from answerable.apps.workload_api.connection import PeerConnection

_log = logging.getLogger(__name__)


class Call:
    """An RPC's exchange with its client."""

    def __init__(self, stream: Stream[Any, Any], connection: PeerConnection) -> None:
        self._stream = stream
        self._connection = connection

    def check_header(self, name: str) -> None:
        """Check the security header, which shows that the client means to call this API: a request that somebody was
        tricked into forwarding lacks it (SPIFFE Workload Endpoint, section 3). Raises GRPCError (INVALID_ARGUMENT)."""
        sent = self._stream.metadata
        said = sent.getall(name, []) if sent is not None else []
        if not said or any(value != "true" for value in said):
            raise invalid(f"security header missing from request: {name}")

    async def request(self) -> Any:
        """Return the client's one message. Raises GRPCError."""
        try:
            async with asyncio.timeout(self._connection.limits.receive_seconds):
                message = await self._stream.recv_message()
        except TimeoutError:
            raise GRPCError(Status.DEADLINE_EXCEEDED, "the request did not come") from None
        except NotImplementedError:
            raise GRPCError(Status.UNIMPLEMENTED, "compressed messages are not taken") from None
        except (DecodeError, AssertionError, struct.error, UnicodeDecodeError):
            raise invalid("the request is no message of this method") from None
        if message is None:
            raise invalid("the request is missing")
        return message

    async def send(self, message: Any) -> None:
        """Send the client one message; a client that does not accept it within the limit is disconnected.

        Raises GRPCError (PERMISSION_DENIED) if the process has ended, or runs another program than when it was
        identified.
        """
        peer = self._connection.peer
        if peer is None or not peer.is_alive():
            raise denied()
        try:
            async with asyncio.timeout(self._connection.limits.send_seconds):
                await self._stream.send_message(message)
        except TimeoutError:
            self._connection.abort()
            raise GRPCError(Status.UNAVAILABLE, "the answer was not taken") from None


def answering(
    connection: PeerConnection, header: str, rpc: Callable[[Call], Awaitable[None]]
) -> Callable[[Stream[Any, Any]], Awaitable[None]]:
    """Return the RPC as grpclib calls it."""

    async def answer(stream: Stream[Any, Any]) -> None:
        call = Call(stream, connection)
        try:
            call.check_header(header)
            await rpc(call)
        except (GRPCError, StreamTerminatedError, StreamClosedError, ProtocolError):
            raise
        except Exception as error:
            raise translated(error) from None

    return answer


def translated(error: Exception) -> GRPCError:
    """Translate an error to a gRPC status. Clients retry, except after INVALID_ARGUMENT and UNIMPLEMENTED, which only
    `invalid` gives, for faults of the request (SPIFFE Workload Endpoint, section 6)."""
    if isinstance(error, Unavailable):
        return GRPCError(Status.UNAVAILABLE, f"not ready: {error.code}")
    if isinstance(error, Refused) and error.code == "workloads.pace":
        return GRPCError(Status.RESOURCE_EXHAUSTED, error.message)
    if isinstance(error, Malformed | Unverified | Refused):
        return denied(error.code)
    # Log only the type: the text may contain anything, and keys pass through here.
    what = error.code if isinstance(error, AnswerableError) else type(error).__name__
    _log.error("a Workload API call failed: %s", what)
    return GRPCError(Status.INTERNAL, "internal error")


def invalid(message: str, reason: str = "") -> GRPCError:
    """Return the error for an invalid request."""
    return GRPCError(Status.INVALID_ARGUMENT, message, ErrorReason(reason=reason) if reason else None)


def denied(code: str = "", reason: str = "") -> GRPCError:
    """Return the error for a process without an identity."""
    message = "no identity issued" + (f": {code}" if code else "")
    return GRPCError(Status.PERMISSION_DENIED, message, ErrorReason(reason=reason) if reason else None)
