"""Call a Workload API over its socket (SPIFFE Workload Endpoint, section 4)."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from grpclib.client import Channel, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from h2.exceptions import H2Error

from answerable.adapters.workload_api_client.messages import CLASSES, METADATA, SERVICE
from answerable.errors import Unavailable, UnavailableCode, shown
from answerable.errors.codes.workloads import (
    WORKLOAD_API_ANSWER,
    WORKLOAD_API_DENIED,
    WORKLOAD_API_DER,
    WORKLOAD_API_UNREACHABLE,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from google.protobuf.message import Message

RETRY_SECONDS_FIRST: Final = 1.0
RETRY_SECONDS_MAX: Final = 60.0
CERTIFICATES_MAX: Final = 256
"""Certificates in one concatenation."""

_UNIX: Final = "unix://"


class NotOffered(Unavailable):
    """The API does not offer this method."""


async def messages(address: str, method: str, reply: str) -> AsyncGenerator[Message, None]:
    """Yield what the API streams, until the iterator is closed, which also closes the connection.

    Raises Unavailable (`workload_api.*`) when the stream ends for any reason, NotOffered if there is no such method.
    The size of a message is bounded only by the local API: its socket is trusted as its operator is.
    """
    with _call(address, method) as channel:
        call: UnaryStreamMethod[Message, Message] = UnaryStreamMethod(
            channel, SERVICE + method, CLASSES["Empty"], CLASSES[reply]
        )
        async with call.open(metadata=METADATA) as stream:
            await stream.send_message(CLASSES["Empty"](), end=True)
            while (message := await stream.recv_message()) is not None:
                yield message
    raise _unavailable(f"{method}: it ended the stream", code=WORKLOAD_API_UNREACHABLE)


async def answer(address: str, method: str, query: str, reply: str, asked: Mapping[str, object]) -> Message:
    """Return the answer of a method that does not stream. Raises as `messages`."""
    with _call(address, method) as channel:
        call: UnaryUnaryMethod[Message, Message] = UnaryUnaryMethod(
            channel, SERVICE + method, CLASSES[query], CLASSES[reply]
        )
        return await call(CLASSES[query](**asked), metadata=METADATA)


@contextmanager
def _call(address: str, method: str) -> Iterator[Channel]:
    """Open a connection for one call, and translate its errors."""
    channel = _channel(address)
    try:
        yield channel
    except GRPCError as error:
        raise _of_status(error, method) from None
    except (OSError, StreamTerminatedError) as error:
        raise _unavailable(f"{method}: {type(error).__name__}", code=WORKLOAD_API_UNREACHABLE) from None
    except (ProtocolError, H2Error, AssertionError, NotImplementedError, ValueError) as error:
        # grpclib and protobuf report invalid frames and messages by AssertionError and ValueError, and grpclib
        # compressed ones by NotImplementedError.
        raise _unavailable(f"{method}: {type(error).__name__}", code=WORKLOAD_API_ANSWER) from None
    finally:
        channel.close()


def retry_seconds(failures: int) -> float:
    """Return a doubling delay, randomly up to half shorter, so that clients which lost one agent together do not
    reconnect together."""
    longest = min(RETRY_SECONDS_FIRST * float(2 ** min(failures, 16)), RETRY_SECONDS_MAX)
    return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing


def certificates(octets: bytes) -> tuple[bytes, ...]:
    """Split concatenated DER values. Raises Malformed (`workload_api.der`)."""
    found: list[bytes] = []
    at = 0
    while at < len(octets):
        end = _end(octets, at)
        if end is None or len(found) == CERTIFICATES_MAX:
            raise WORKLOAD_API_DER()
        found.append(octets[at:end])
        at = end
    return tuple(found)


def _end(octets: bytes, at: int) -> int | None:
    """Return the end of the SEQUENCE that starts at this offset (X.690, section 8.1.3); None if invalid."""
    if octets[at] != 0x30 or at + 2 > len(octets):
        return None
    length, body = octets[at + 1], at + 2
    if length >= 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            return None
        length = int.from_bytes(octets[body : body + count], "big")
        body += count
    return body + length if body + length <= len(octets) else None


def _channel(address: str) -> Channel:
    if address.startswith(_UNIX):
        return Channel(path=address.removeprefix(_UNIX))
    parts = urlsplit(address)
    return Channel(host=parts.hostname, port=parts.port)


def _of_status(error: GRPCError, method: str) -> Unavailable:
    why = f"{method}: {error.status.name}: {shown(error.message or '')}"
    if error.status is Status.UNIMPLEMENTED:
        return NotOffered(why, code=WORKLOAD_API_ANSWER.id, port="workload_api")
    if error.status is Status.PERMISSION_DENIED:
        return _unavailable(f"{why}: register this process there", code=WORKLOAD_API_DENIED)
    return _unavailable(why, code=WORKLOAD_API_UNREACHABLE)


def _unavailable(why: str, *, code: UnavailableCode) -> Unavailable:
    return code(f"workload api: {why}")
