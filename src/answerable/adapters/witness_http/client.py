"""Implement the client side of C2SP tlog-witness, over TCP or a Unix socket."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

import anyio
import httpx2

from answerable.connection_fault import connection_fault
from answerable.core.tlog.note import NOTE_BYTES_MAX
from answerable.core.tlog.text import decimal
from answerable.errors import Malformed, Unavailable, shown
from answerable.errors.codes.tlog import TLOG_DECIMAL, WITNESS_ANSWER, WITNESS_FAILED, WITNESS_UNREACHABLE
from answerable.ports.witness import Cosigned, Denied, Remembered
from answerable.unix_http import no_tls

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from answerable.core.tlog.note import VerifierKey
    from answerable.core.tlog.witnessing import AddCheckpoint
    from answerable.ports.witness import WitnessAnswer

SIZE_MEDIA_TYPE: Final = "text/x.tlog.size"
REASON_MEDIA_TYPE: Final = "text/plain"
REASON_BYTES_MAX: Final = 300
SIZE_BYTES_MAX: Final = 32
SIGNATURES_BYTES_MAX: Final = 65_536
"""Sixteen ML-DSA-44 cosignatures and more."""

_DENIALS: Final = {
    400: Denied(why="malformed"),
    403: Denied(why="unsigned"),
    404: Denied(why="unknown log"),
    422: Denied(why="inconsistent"),
}
_UNIX: Final = "unix:"


class HttpWitness:
    """Implements ports.Witness. address: submission prefix, also used to fetch the witness's own copy, or `unix:` and a
    path.

    keys: called each time, since a starting witness may not have its keys yet. Connections are pooled; `async with`
    closes them. Follows no redirect, sends no credentials, and reads no proxy from the environment.
    """

    def __init__(
        self,
        *,
        name: str,
        address: str,
        keys: Callable[[], tuple[VerifierKey, ...]],
        answer_seconds_max: float,
    ) -> None:
        self._name = name
        self._keys = keys
        self._answer_seconds_max = answer_seconds_max
        path = address.removeprefix(_UNIX) if address.startswith(_UNIX) else None
        self._prefix = "http://witness" if path is not None else address.rstrip("/")
        self._client = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(uds=path, verify=no_tls() if path else True, trust_env=False),
            timeout=answer_seconds_max,
            trust_env=False,
            headers={"accept-encoding": "identity", "user-agent": "answerable"},
        )

    @property
    def name(self) -> str:
        """The witness's name for people."""
        return self._name

    def keys(self) -> tuple[VerifierKey, ...]:
        """Return the keys with which the witness cosigns."""
        return self._keys()

    async def add_checkpoint(self, request: AddCheckpoint) -> WitnessAnswer:
        """Send a checkpoint with its consistency proof."""
        status, media_type, content = await self._exchanged(
            "POST", "/add-checkpoint", SIGNATURES_BYTES_MAX, request.encoded()
        )
        if status == 200:
            return Cosigned(signatures=content)
        if status == 409 and media_type == SIZE_MEDIA_TYPE:
            return Remembered(size=self._size(content))
        denied = _DENIALS.get(status)
        if denied is None and status >= 500 and media_type == REASON_MEDIA_TYPE and content.strip():
            raise self._failed(status, content)
        if denied is None:
            raise self._odd(f"status {status}")
        return denied

    async def newest(self, origin: str) -> bytes | None:
        """Return the witness's own copy of the newest checkpoint of this log; None if the witness has none."""
        path = f"/{sha256(origin.encode()).hexdigest()}/checkpoint"
        status, _, content = await self._exchanged("GET", path, NOTE_BYTES_MAX)
        return content if status == 200 else None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> HttpWitness:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _exchanged(
        self, method: str, path: str, bytes_max: int, body: bytes | None = None
    ) -> tuple[int, str, bytes]:
        """Return status, media type and whole content, within the limits of time and size."""
        try:
            with anyio.fail_after(self._answer_seconds_max):
                async with self._client.stream(method, self._prefix + path, content=body) as response:
                    received = bytearray()
                    # Raw bytes: nothing is decompressed, so the content cannot grow.
                    async for chunk in response.aiter_raw():
                        received += chunk
                        if len(received) > bytes_max:
                            raise self._odd(f"more than {bytes_max} bytes")
                    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                    return response.status_code, media_type, bytes(received)
        except TimeoutError:
            raise self._unreachable(f"no whole answer within {self._answer_seconds_max:g} seconds") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise self._unreachable(connection_fault(error)) from None

    def _size(self, content: bytes) -> int:
        text = content[:SIZE_BYTES_MAX].decode("ascii", "replace")
        try:
            if not text.endswith("\n"):
                raise TLOG_DECIMAL("no newline")
            return decimal(text[:-1], what="size")
        except Malformed:
            raise self._odd(f"a size of {shown(text)}") from None

    def _failed(self, status: int, content: bytes) -> Unavailable:
        """Return the failure that the witness tells of. Its words are another process's: they are cut and quoted."""
        first = content.strip()[:REASON_BYTES_MAX].decode("utf-8", "replace").splitlines()[0]
        return WITNESS_FAILED(
            f"witness {shown(self._name)} cannot cosign (status {status}): {shown(first, REASON_BYTES_MAX)}"
        )

    def _unreachable(self, why: str) -> Unavailable:
        return WITNESS_UNREACHABLE(f"witness {shown(self._name)} was not reached: {why}")

    def _odd(self, what: str) -> Unavailable:
        return WITNESS_ANSWER(
            f"witness {shown(self._name)} answered with {what}, which the protocol does not allow"
        )
