"""Read and write JSON-RPC messages over stdio, one per line: parsed strictly, written whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

import anyio
import anyio.to_thread
import msgspec

from answerable.core.action.told import told
from answerable.core.canonical import Limits, parse
from answerable.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from answerable.core.action.told import EffectTold
    from answerable.core.canonical import JSONValue

LINE_BYTES_MAX: Final = 4 * 1024 * 1024
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
INTERNAL_ERROR: Final = -32603

_ENCODER: Final = msgspec.json.Encoder()
_LIMITS: Final = Limits(size_bytes_max=LINE_BYTES_MAX)


async def lines_of(stdin: BinaryIO) -> AsyncIterator[bytes | None]:
    """Yield each line without its line end; None for a line above the limit, which is skipped. Ends with the input."""
    while line := await _read(stdin):
        if line.endswith(b"\n") or len(line) <= LINE_BYTES_MAX:
            if line.strip():
                yield line.rstrip(b"\r\n")
            continue
        while line and not line.endswith(b"\n"):
            line = await _read(stdin)
        yield None


async def _read(stdin: BinaryIO) -> bytes:
    # Abandoned on cancellation: a thread waiting for input must not keep the process alive.
    return await anyio.to_thread.run_sync(stdin.readline, LINE_BYTES_MAX + 1, abandon_on_cancel=True)


def message_of(line: bytes | None) -> dict[str, JSONValue] | bytes:
    """Return the message on a line, or the error that answers an invalid line (JSON-RPC 2.0, section 5.1)."""
    if line is None:
        return error_line(None, INVALID_REQUEST, f"a message has at most {LINE_BYTES_MAX} bytes")
    try:
        value = parse(line, limits=_LIMITS)
    except Malformed as fault:
        return error_line(None, PARSE_ERROR, f"parse error: {fault.message}", code=fault.code)
    if isinstance(value, list):
        return error_line(None, INVALID_REQUEST, "JSON-RPC batches are not supported")
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        return error_line(None, INVALID_REQUEST, "a message must be one JSON-RPC 2.0 object")
    if "id" in value and type(value["id"]) not in (str, int):
        return error_line(None, INVALID_REQUEST, "an id is text or an integer")
    return value


def error_line(
    request_id: JSONValue,
    number: int,
    message: str,
    *,
    code: str = "",
    effect: EffectTold = "none",
    retry: bool = False,
) -> bytes:
    """Return one JSON-RPC error of the shim itself. effect, retry: as in the gateway's errors."""
    data = {**({"code": code} if code else {}), **told(message, effect=effect, retry=retry)}
    error: dict[str, JSONValue] = {"code": number, "message": message, "data": data}
    return _ENCODER.encode({"jsonrpc": "2.0", "id": request_id, "error": error})


class Writer:
    """Writes whole lines, one at a time. left: set when the reader has closed the output."""

    def __init__(self, stdout: BinaryIO) -> None:
        self._stdout = stdout
        self._lock = anyio.Lock()
        self.left = anyio.Event()

    async def write(self, text: bytes) -> None:
        """Write one JSON text as one line. Line ends can only occur between tokens, where a space is equivalent."""
        line = text.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n"
        async with self._lock:
            try:
                await anyio.to_thread.run_sync(self._put, line)
            except (OSError, ValueError):
                self.left.set()

    def _put(self, line: bytes) -> None:
        self._stdout.write(line)
        self._stdout.flush()
