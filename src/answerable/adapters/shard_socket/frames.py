"""Frame messages on the wire: four bytes of length, big-endian, then that many bytes of MessagePack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.errors.codes.ledger import SHARD_TOO_LONG

if TYPE_CHECKING:
    from anyio.abc import ByteSendStream
    from anyio.streams.buffered import BufferedByteReceiveStream

LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLimits:
    """Limits of the link between shards.

    connect_seconds_max: to connect to the other process. send_seconds_max: to send it an action, or for it to send an
    answer. answer_seconds_max: from then until the answer; after that the action is cancelled there. trace_seconds_max:
    for an answer to a question about what was done. message_bytes_max: of one message. actions_max: concurrent actions
    forwarded to one process; more are refused. stop_seconds_max: for actions in progress when a process stops.
    """

    connect_seconds_max: float = 2.0
    send_seconds_max: float = 10.0
    answer_seconds_max: float = 180.0
    trace_seconds_max: float = 20.0
    message_bytes_max: int = 16_777_216
    actions_max: int = 1_024
    stop_seconds_max: float = 10.0


def framed(message: bytes, limits: LinkLimits) -> bytes:
    """Return the bytes to send. Raises Malformed (`shard.too_long`)."""
    if len(message) > limits.message_bytes_max:
        raise SHARD_TOO_LONG(
            f"the message has {len(message)} bytes, expected at most {limits.message_bytes_max}"
        )
    return len(message).to_bytes(LENGTH_BYTES, "big") + message


async def read_message(stream: BufferedByteReceiveStream, limits: LinkLimits) -> bytes:
    """Return the next message. Raises Malformed (`shard.too_long`), and the stream's exceptions if it ends too
    early."""
    size = int.from_bytes(await stream.receive_exactly(LENGTH_BYTES), "big")
    if size > limits.message_bytes_max:
        raise SHARD_TOO_LONG(f"a message of {size} bytes is too long")
    return await stream.receive_exactly(size)


async def send_message(stream: ByteSendStream, message: bytes, limits: LinkLimits) -> None:
    """Send a whole message. Raises Malformed (`shard.too_long`), and the stream's exceptions."""
    await stream.send(framed(message, limits))
