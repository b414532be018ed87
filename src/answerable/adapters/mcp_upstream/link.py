"""Keep one upstream server connected: reconnect after failures, read its lists, and send requests to it.

A failing server, a crash in the SDK's task group or a hanging start each end one connection, are recorded, and lead to
a new attempt after a growing delay. No exception reaches the task that supervises the other servers.
"""

from __future__ import annotations

import logging
import math
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Literal

import anyio
import mcp_types
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from answerable.adapters.mcp_upstream.asking import ask
from answerable.adapters.mcp_upstream.connecting import connect
from answerable.adapters.mcp_upstream.direct import SessionOnlyError
from answerable.adapters.mcp_upstream.following import TOOLS_CHANGED, follow, notification_of
from answerable.adapters.mcp_upstream.http_transport import closed_at_the_end
from answerable.adapters.mcp_upstream.listing import read_catalogue
from answerable.adapters.mcp_upstream.live import Live, NotSentError, TimedOutError
from answerable.adapters.mcp_upstream.stderr_log import StderrLog
from answerable.adapters.mcp_upstream.watches import Watches
from answerable.errors import AnswerableError, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.client.session import ClientSession, IncomingMessage

    from answerable.adapters.mcp_upstream.catalogue import Catalogue
    from answerable.adapters.mcp_upstream.settings import UpstreamSettings
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.documents import Server
    from answerable.ports.upstream import Progress

FOLLOW_SECONDS: Final = 2.0
"""How long the lists wait for a stream of announcements."""
REFRESH_PAUSE_SECONDS: Final = 0.2
FAULT_CHARS_MAX: Final = 300
SESSION_ENDED: Final = "Session terminated"
"""The SDK's message (2.3) when a session-based HTTP server no longer knows the session."""

State = Literal["connecting", "up", "down"]

_log = logging.getLogger(__name__)


class Link:
    """The connection state of one server. `run` keeps it connected until cancelled."""

    def __init__(
        self,
        server: Server,
        *,
        settings: UpstreamSettings,
        watches: Watches | None = None,
        listed: Callable[[], None] = lambda: None,
    ) -> None:
        """listed: called after each reading of the lists, when `catalogue` holds the new ones."""
        self.server = server
        self.watches = watches or Watches()
        self.catalogue: Catalogue | None = None
        self.capabilities: dict[str, JSONValue] = {}
        self.instructions = ""
        self.state: State = "connecting"
        self.fault = ""
        self._told = ""
        path = settings.log_directory / f"{server.name}.log" if settings.log_directory else None
        self.log = StderrLog(path, bytes_max=settings.log_bytes_max)
        self._settings = settings
        self._tell_listed = listed
        self._live: Live | None = None
        self._modern = False
        self._wants_fields = False
        self._up = anyio.Event()
        self._turn = anyio.Event()
        self._stale = anyio.Event()
        self._listed_at = -math.inf
        self._listing = anyio.Lock()
        self._changes, self._changes_read = 0, 0
        self._read = anyio.Event()

    async def run(self) -> None:
        """Connect and reconnect until cancelled."""
        delay = self._settings.restart_delay_seconds
        async with anyio.create_task_group() as tasks:
            while True:
                tried_at = anyio.current_time()
                lost = anyio.Event()
                # A separate task, so that calls on the old connection can end while the new one is established.
                tasks.start_soon(self._hold, lost)
                await lost.wait()
                if anyio.current_time() - tried_at > self._settings.steady_seconds:
                    delay = self._settings.restart_delay_seconds
                await anyio.sleep(delay)
                delay = min(2 * delay, self._settings.restart_delay_seconds_max)

    async def exchange(
        self, method: str, params: dict[str, JSONValue], *, seconds: float, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Send one request and wait for its result.

        Raises NotSentError, TimedOutError, and the session's exceptions: MCPError, pydantic's ValidationError.
        """
        live = await self.connected()
        live.calls += 1
        try:
            wants_session = progress is not None or (self._wants_fields and method == "tools/call")
            if live.direct is not None and not wants_session:
                try:
                    return await live.direct.ask(method, params, seconds=seconds)
                except SessionOnlyError:
                    live.direct = None
            with closed_at_the_end(), anyio.move_on_after(seconds):
                return await ask(live.session, method, params, progress=progress)
            raise TimedOutError
        except MCPError as error:
            if error.message == SESSION_ENDED:
                live.lost.set()
            raise
        finally:
            live.calls -= 1
            if not live.calls:
                live.idle.set()

    async def cancel_task(self, task: str, *, seconds: float) -> str:
        """Ask the server to cancel a task, and return a sentence that describes the result. Raises only
        cancellation."""
        said = "the upstream goes on with it as a task that nobody asked for"
        try:
            await self.exchange("tasks/cancel", {"taskId": task}, seconds=seconds)
        except MCPError as error:
            return f"{said}, and refused to cancel it: error {error.code}"
        except Exception as fault:
            return f"{said}, and whether it cancels it is not known: {type(fault).__name__}"
        return f"{said}, and took the word that it is cancelled: whether it has done it by then is not known"

    async def subscribe(self, uri: str, *, seconds: float) -> dict[str, Any]:
        """Wait until the server confirms updates of a resource that is already wanted (`watches`).

        Raises NotSentError, TimedOutError, and MCPError if the server does not confirm.
        """
        live = await self.connected()
        with anyio.move_on_after(seconds):
            while uri not in live.acknowledged:
                if live.lost.is_set():
                    raise MCPError(mcp_types.CONNECTION_CLOSED, "Connection closed")
                if uri in live.tried or uri not in self.watches.wanted:
                    raise MCPError(mcp_types.INVALID_PARAMS, "the upstream sends no updates of this resource")
                await live.settled.wait()
            return {}
        raise TimedOutError

    async def next_state(self) -> None:
        """Return at the next change between up and down."""
        await self._turn.wait()

    async def connected(self) -> Live:
        """Return the current connection; wait briefly for one that is being established. Raises NotSentError."""
        if self._live is None:
            with anyio.move_on_after(self._settings.connect_wait_seconds):
                await self._up.wait()
        if self._live is None:
            raise NotSentError
        return self._live

    @property
    def is_stale(self) -> bool:
        """Whether the server has announced a change of its tools that `catalogue` does not yet include."""
        return self._changes != self._changes_read

    def announces(self, method: str) -> bool:
        """Whether changes of what this list method lists are announced to us: the server declares it, and follows."""
        declared = self.capabilities.get(method.partition("/")[0])
        is_declared = isinstance(declared, dict) and declared.get("listChanged") is True
        return is_declared and (self._live is None or not self._modern or self._live.is_followed)

    @property
    def is_starting(self) -> bool:
        """Whether the first attempt to connect goes on, so that nothing is known yet of what the server offers."""
        return self.state == "connecting" and self.catalogue is None

    async def settled(self, *, seconds_max: float, tools: bool = True) -> None:
        """Wait, at most `seconds_max`, until the lists have been read once or the first attempt to connect has failed.
        tools: also until announced changes of tools have been read."""
        with anyio.move_on_after(seconds_max):
            while self.is_starting:
                await self._turn.wait()
            while tools and self.is_stale:
                await self._read.wait()

    async def refresh(self, *, seconds_max: float) -> None:
        """Read the lists again if they are older than `seconds_max`. A failure leaves the known lists."""
        async with self._listing:
            if self._live is None or anyio.current_time() - self._listed_at < seconds_max:
                return
            with anyio.move_on_after(self._settings.connect_seconds_max):
                try:
                    await self._list(self._live)
                except Exception as fault:
                    self._note(fault)

    async def _list(self, live: Live) -> None:
        # Changes announced during the reading may not be included in it.
        changes = self._changes
        self._listed(await read_catalogue(live, seconds=self._settings.connect_seconds_max))
        self._changes_read = changes
        read, self._read = self._read, anyio.Event()
        read.set()

    def _listed(self, catalogue: Catalogue) -> None:
        known = self.catalogue.refused if self.catalogue is not None else ()
        for why in catalogue.refused:
            if why not in known:
                _log.warning("server %s: an entry is not offered: %s", self.server.name, why)
        self.catalogue = catalogue
        # Only the session can send the header fields that a tool's schema requests.
        self._wants_fields = bool(self.server.url) and catalogue.wants_fields
        self._listed_at = anyio.current_time()
        self._tell_listed()

    async def _hold(self, lost: anyio.Event) -> None:
        """Run one connection from start to end. Raises only cancellation."""
        live: Live | None = None
        try:
            with anyio.CancelScope(
                deadline=anyio.current_time() + self._settings.connect_seconds_max
            ) as connecting:
                async with AsyncExitStack() as stack:
                    live, contain = await connect(
                        self.server, self._settings, stack, lost,
                        log=self.log, announced=self._announced, hear=self._hear,
                    )  # fmt: skip
                    self._describe(live.session)
                    async with anyio.create_task_group() as tasks:
                        following = live.settled
                        tasks.start_soon(follow, live, self.watches, self._changed)
                        if self._modern:
                            # What changes after the lists were read is announced only to who follows by then. Where
                            # the server takes longer to confirm that, the lists are read again once it has.
                            with anyio.move_on_after(FOLLOW_SECONDS):
                                await following.wait()
                            live.is_behind = not live.is_followed
                        await self._list(live)
                        connecting.deadline = math.inf
                        contain()
                        self._publish(live)
                        tasks.start_soon(self._refresh_when_told, live)
                        await lost.wait()
                        self._unpublish(live)
                        await self._drain(live)
                        tasks.cancel_scope.cancel()
            if connecting.cancelled_caught:
                self.fault = f"no connection within {self._settings.connect_seconds_max:g} s"
        except Exception as fault:
            self._note(fault)
        finally:
            self._unpublish(live)
            self._tell_down()
            lost.set()
            if live is not None:
                live.settled.set()

    def _describe(self, session: ClientSession) -> None:
        declared = session.server_capabilities or mcp_types.ServerCapabilities()
        self.capabilities = declared.model_dump(by_alias=True, mode="json", exclude_none=True)
        self.instructions = session.instructions or ""
        # Servers of the modern era send events on a separate stream; the session only repeats them.
        self._modern = session.protocol_version in MODERN_PROTOCOL_VERSIONS

    def _publish(self, live: Live) -> None:
        self._live, self.state, self.fault = live, "up", ""
        self._told = ""
        self._up.set()
        self._turned()

    def _unpublish(self, live: Live | None) -> None:
        if self._live is live:
            self._live, self.state = None, "down"
            self._up = anyio.Event()
            self._turned()

    def _tell_down(self) -> None:
        """Log that the server is down, once per reason, because connecting is retried indefinitely."""
        if self.fault and self.fault != self._told:
            self._told = self.fault
            where = f"; what it wrote is in {self.log.path}" if self.server.command and self.log.path else ""
            _log.warning(
                "server %s is down: %s%s", self.server.name, shown(self.fault, FAULT_CHARS_MAX), where
            )

    def _turned(self) -> None:
        turn, self._turn = self._turn, anyio.Event()
        turn.set()

    async def _drain(self, live: Live) -> None:
        """Wait for calls that an HTTP server may still answer. The calls of an ended process have already failed."""
        with anyio.move_on_after(self.server.call_seconds_max):
            while live.calls:
                live.idle = anyio.Event()
                await live.idle.wait()

    async def _hear(self, message: IncomingMessage) -> None:
        heard = None if self._modern else notification_of(message)
        if heard is not None:
            self._changed(*heard)

    def _changed(self, method: str, uri: str) -> None:
        if method == TOOLS_CHANGED:
            self._announced()
        elif method.endswith("/list_changed"):
            self._stale.set()
        self.watches.emit(method, uri)

    def _announced(self) -> None:
        """Record a change of tools: the tools in `catalogue` are not called until the lists are read again."""
        self._changes += 1
        self._stale.set()

    async def _refresh_when_told(self, live: Live) -> None:
        while True:
            await self._stale.wait()
            self._stale = anyio.Event()
            # Servers announce changes in bursts, so the lists are read once at the end of a burst. A server that
            # announces continuously is read less often the longer its lists are.
            apart = self.catalogue.apart_seconds if self.catalogue is not None else 0.0
            await anyio.sleep(max(REFRESH_PAUSE_SECONDS, self._listed_at + apart - anyio.current_time()))
            if self._live is live:
                await self.refresh(seconds_max=0)
                if self.is_stale:
                    # The reading failed, or the tools changed during it.
                    self._stale.set()

    def _note(self, fault: Exception) -> None:
        """Store a one-line, human-readable reason why the server is down, without a stack trace."""
        inner: BaseException = fault
        while isinstance(inner, BaseExceptionGroup):
            inner = inner.exceptions[0]
        text = inner.message if isinstance(inner, AnswerableError | MCPError) else str(inner)
        self.fault = f"{type(inner).__name__}: {text}"[:FAULT_CHARS_MAX]
