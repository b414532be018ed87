"""Ask the process that answers searches over HTTP on its Unix socket (port SearchProcess)."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

import anyio
import httpx2
import msgspec

from answerable.connection_fault import connection_fault
from answerable.errors import Malformed, Refused, Unavailable, shown
from answerable.errors.codes.search import SEARCH_ENDED, SEARCH_FAILED, SEARCH_LATE, SEARCH_UNREACHABLE
from answerable.ports.search_process import HOST, REACH_PATH, A, IndexReach, Q, QuestionKind
from answerable.unix_http import no_tls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONNECT_SECONDS_MAX: Final = 2.0
ANSWER_SECONDS_MAX: Final = 12.0
"""Within the time of a whole question, of which a process that starts takes some."""
REACH_SECONDS_MAX: Final = 2.0
ANSWER_BYTES_MAX: Final = 67_108_864

_CREDENTIALS: Final = struct.Struct("3i")


class _Problem(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    detail: str
    branch: str


class HttpSearchProcess:
    """Implements ports.search_process.SearchProcess. Each call opens its own connection."""

    def __init__(self, socket: Path, *, seconds_max: float | None = None) -> None:
        """seconds_max: how long an answer may take; None for the time of one that nobody waits for beside others."""
        self._socket, self._seconds_max = str(socket), seconds_max

    async def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        seconds = ANSWER_SECONDS_MAX if self._seconds_max is None else self._seconds_max
        return await self._sent("POST", kind.path, kind.read_answer, seconds, msgspec.json.encode(question))

    async def reach(self) -> IndexReach:
        return await self._sent("GET", REACH_PATH, _read_reach, REACH_SECONDS_MAX)

    async def _sent(
        self, method: str, path: str, read: Callable[[bytes], A], seconds: float, content: bytes = b""
    ) -> A:
        """Send one request and read the answer. Raises Malformed as the process does, and Unavailable:
        `search.unreachable`, `search.ended`, `search.late`, `search.failed`, and the process's own."""
        timeout = httpx2.Timeout(seconds, connect=CONNECT_SECONDS_MAX)
        transport = httpx2.AsyncHTTPTransport(uds=self._socket, verify=no_tls())
        try:
            with anyio.fail_after(seconds):
                async with httpx2.AsyncClient(
                    transport=transport, timeout=timeout, trust_env=False
                ) as client:
                    response = await client.request(method, f"http://{HOST}{path}", content=content)
        except (httpx2.TimeoutException, TimeoutError) as error:
            if isinstance(error, httpx2.ConnectTimeout):
                raise SEARCH_UNREACHABLE() from None
            raise self._late(seconds) from None
        except httpx2.ConnectError:
            raise SEARCH_UNREACHABLE() from None
        except (httpx2.NetworkError, httpx2.RemoteProtocolError):
            raise SEARCH_ENDED() from None
        except httpx2.HTTPError as error:
            why = connection_fault(error)
            raise SEARCH_FAILED(f"the process that answers searches did not answer: {why}") from None
        if len(response.content) > ANSWER_BYTES_MAX:
            raise SEARCH_FAILED("the process that answers searches gave an answer that is too long")
        try:
            if response.status_code != 200:
                raise _error_of(msgspec.json.decode(response.content, type=_Problem))
            return read(response.content)
        except msgspec.MsgspecError:
            raise SEARCH_FAILED(
                f"the process that answers searches answered {response.status_code}: {shown(response.text[:200])}"
            ) from None

    def _late(self, seconds: float) -> Unavailable:
        listener = self._listener()
        how = f" with `kill -9 {listener}`" if listener else ""
        return SEARCH_LATE(
            f"the process that answers searches gave no answer within {seconds:.2g} s: it is stopped, hangs or has too "
            f"much to do; end it{how}, and another one is started, or read the files beside it with --ledger "
            "DATA/ledger (of a shard DATA/ledger/shards/NAME) --keys DATA"
        )

    def _listener(self) -> int:
        """Return the id of the process that listens on the socket; 0 where that is not known."""
        if not hasattr(socket, "SO_PEERCRED"):
            return 0
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            probe.connect_ex(self._socket)
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return int(_CREDENTIALS.unpack(credentials)[0])


def _read_reach(body: bytes) -> IndexReach:
    return msgspec.json.decode(body, type=IndexReach)


def _error_of(problem: _Problem) -> Malformed | Refused | Unavailable:
    if problem.branch == "malformed":
        return Malformed(problem.detail, code=problem.code)
    if problem.branch == "refused":
        return Refused(problem.detail, code=problem.code)
    return Unavailable(problem.detail, code=problem.code, port="search_process")
