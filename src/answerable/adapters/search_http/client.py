"""Ask the process that answers searches over HTTP on its Unix socket (port SearchProcess)."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import httpx2
import msgspec

from answerable.api.incident_answers import IncidentAnswer, IncidentsAnswer
from answerable.api.search_answers import (
    AccountsAnswer,
    NameAnswer,
    ScopeAnswer,
    SearchAnswer,
    StoryAnswer,
)
from answerable.connection_fault import connection_fault
from answerable.errors import Malformed, Refused, Unavailable, shown
from answerable.errors.codes.search import SEARCH_FAILED, SEARCH_LATE, SEARCH_UNREACHABLE
from answerable.ports.search_process import (
    ACCOUNTS_PATH,
    HOST,
    INCIDENT_PATH,
    INCIDENTS_PATH,
    LOGS_PATH,
    NAME_PATH,
    REACH_PATH,
    SCOPE_PATH,
    SEARCH_PATH,
    STORY_PATH,
    TRACE_PATH,
    TREE_PATH,
    UNDER_PATH,
    IndexReach,
    LogsTold,
    TraceAnswer,
    TreeAnswer,
    UnderAnswer,
)
from answerable.unix_http import no_tls

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.api.members import Part
    from answerable.ports.search_process import (
        AccountsQuestion,
        IncidentQuestion,
        IncidentsQuestion,
        LogsQuestion,
        NameQuestion,
        Question,
        ScopeQuestion,
        StoryQuestion,
        TraceQuestion,
        TreeQuestion,
        UnderQuestion,
    )

CONNECT_SECONDS_MAX: Final = 2.0
ANSWER_SECONDS_MAX: Final = 12.0
"""Within the time of a whole question, of which a process that starts takes some."""
REACH_SECONDS_MAX: Final = 2.0
ANSWER_BYTES_MAX: Final = 67_108_864

Answer = TypeVar("Answer")
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

    async def search(self, question: Question) -> SearchAnswer:
        return await self._posted(SEARCH_PATH, SearchAnswer, question)

    async def story(self, question: StoryQuestion) -> StoryAnswer:
        return await self._posted(STORY_PATH, StoryAnswer, question)

    async def name(self, question: NameQuestion) -> NameAnswer:
        return await self._posted(NAME_PATH, NameAnswer, question)

    async def scope(self, question: ScopeQuestion) -> ScopeAnswer:
        return await self._posted(SCOPE_PATH, ScopeAnswer, question)

    async def under(self, question: UnderQuestion) -> UnderAnswer:
        return await self._posted(UNDER_PATH, UnderAnswer, question)

    async def tree(self, question: TreeQuestion) -> TreeAnswer:
        return await self._posted(TREE_PATH, TreeAnswer, question)

    async def trace(self, question: TraceQuestion) -> TraceAnswer:
        return await self._posted(TRACE_PATH, TraceAnswer, question)

    async def accounts(self, question: AccountsQuestion) -> AccountsAnswer:
        return await self._posted(ACCOUNTS_PATH, AccountsAnswer, question)

    async def logs(self, question: LogsQuestion) -> LogsTold:
        return await self._posted(LOGS_PATH, LogsTold, question)

    async def incidents(self, question: IncidentsQuestion) -> IncidentsAnswer:
        return await self._posted(INCIDENTS_PATH, IncidentsAnswer, question)

    async def incident(self, question: IncidentQuestion) -> IncidentAnswer:
        return await self._posted(INCIDENT_PATH, IncidentAnswer, question)

    async def reach(self) -> IndexReach:
        return await self._ask("GET", REACH_PATH, IndexReach, REACH_SECONDS_MAX)

    async def _posted(self, path: str, kind: type[Answer], question: Part) -> Answer:
        seconds = ANSWER_SECONDS_MAX if self._seconds_max is None else self._seconds_max
        return await self._ask("POST", path, kind, seconds, msgspec.json.encode(question))

    async def _ask(
        self, method: str, path: str, kind: type[Answer], seconds: float, content: bytes = b""
    ) -> Answer:
        """Send one request and decode the answer. Raises Malformed as the process does, and Unavailable:
        `search.unreachable`, `search.late`, `search.failed`, and the process's own."""
        timeout = httpx2.Timeout(seconds, connect=CONNECT_SECONDS_MAX)
        transport = httpx2.AsyncHTTPTransport(uds=self._socket, verify=no_tls())
        try:
            with anyio.fail_after(seconds):
                async with httpx2.AsyncClient(
                    transport=transport, timeout=timeout, trust_env=False
                ) as client:
                    response = await client.request(method, f"http://{HOST}{path}", content=content)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            raise SEARCH_UNREACHABLE() from None
        except (httpx2.TimeoutException, TimeoutError):
            raise self._late(seconds) from None
        except httpx2.HTTPError as error:
            why = connection_fault(error)
            raise SEARCH_FAILED(f"the process that answers searches did not answer: {why}") from None
        if len(response.content) > ANSWER_BYTES_MAX:
            raise SEARCH_FAILED("the process that answers searches gave an answer that is too long")
        try:
            if response.status_code != 200:
                raise _error_of(msgspec.json.decode(response.content, type=_Problem))
            return msgspec.json.decode(response.content, type=kind)
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
            "DATA/ledger --keys DATA"
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


def _error_of(problem: _Problem) -> Malformed | Refused | Unavailable:
    if problem.branch == "malformed":
        return Malformed(problem.detail, code=problem.code)
    if problem.branch == "refused":
        return Refused(problem.detail, code=problem.code)
    return Unavailable(problem.detail, code=problem.code, port="search_process")
