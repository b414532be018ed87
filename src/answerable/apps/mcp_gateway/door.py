"""Serve one upstream at the gateway: both eras of the MCP SDK behind one gate, restarted if the SDK fails."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from answerable.apps.mcp_gateway.gate import Gate
from answerable.apps.mcp_gateway.listening import Listening
from answerable.apps.mcp_gateway.plain import plain_answer, plain_version
from answerable.apps.mcp_gateway.sessions import Sessions
from answerable.errors import AnswerableError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anyio.abc import TaskGroup
    from starlette.types import Receive, Scope, Send

    from answerable.apps.mcp_gateway.arrival import Arrival
    from answerable.apps.mcp_gateway.services import GatewayLimits, GatewayServices
    from answerable.apps.mcp_gateway.tally import Tally

RESTART_SECONDS: Final = 0.5
SESSIONS_MAX: Final = 10_000

_log = logging.getLogger(__name__)


class Door:
    """Two session managers of the SDK over one server.

    `quick` answers a modern request as JSON, within the task of its HTTP request, at half the cost; only the answer can
    be sent on it. `full` has streams: for progress, for `subscriptions/listen`, and for the whole session-based era.
    """

    def __init__(self, name: str, needs: GatewayServices, limits: GatewayLimits, tally: Tally) -> None:
        self.name = name
        self.sessions = Sessions(
            per_agent_max=limits.sessions_per_agent_max, idle_seconds=limits.session_idle_seconds
        )
        self._needs = needs
        self._limits = limits
        self._tasks: TaskGroup | None = None
        listening = Listening(name, needs, limits, start=self._start)
        self._server: Server[Any] = Server(
            name,
            # The gate checks Mcp-Param fields, because it knows the caller; None disables the SDK's own check.
            get_tool_input_schema=lambda _: None,
        )
        self.gate = Gate(name, needs, limits, listening, tally)
        self.plain_version, self.plain_answer = plain_version, partial(plain_answer, self.gate)
        self._server.middleware[:] = [self.gate]
        self.quick, self.full = self._http_side(json=True), self._http_side(json=False)
        self.open = anyio.Event()

    async def run(self) -> None:
        """Serve until cancelled. Never raises anything but cancellation."""
        while True:
            try:
                async with self.quick.run(), self.full.run(), anyio.create_task_group() as tasks:
                    self._tasks = tasks
                    self.open.set()
                    await anyio.sleep_forever()
            except Exception:
                _log.exception("the listener of server %s failed and is restarted", self.name)
            finally:
                self.open = anyio.Event()
                self._tasks = None
                self.sessions.end_all()
            # A session manager can run only once.
            self.quick, self.full = self._http_side(json=True), self._http_side(json=False)
            await anyio.sleep(RESTART_SECONDS)

    def refuse_held(self, arrival: Arrival) -> None:
        """Refuse a session if its caller or this server is held. Raises Refused (`held.*`), Unavailable."""
        self._needs.refuse_held(arrival.caller, "", self.name)

    async def open_session(self, session_id: str, arrival: Arrival, scope: Scope) -> None:
        """Bind a new session of the SDK to its agent, end the agent's sessions above the limit, and cut the session
        when the agent or this server is held. scope: of the request that opened it."""
        for ended in self.sessions.open(session_id, arrival.caller.agent):
            await self.end_session(ended, scope)

        def cut() -> None:
            # Nothing reaches the session from here on; the SDK closes its streams when it forgets the session.
            self.sessions.end(session_id)
            self._start(partial(self.end_session, session_id, scope))

        try:
            released = self._needs.open_stream(arrival.caller, "", self.name, cut=cut)
        except AnswerableError:
            cut()
        else:
            self.sessions.release_by(session_id, released)

    async def end_session(self, session_id: str, scope: Scope) -> None:
        """Make the SDK forget a session that the gateway has ended."""
        headers = [(b"mcp-session-id", session_id.encode("ascii")), (b"host", b"localhost")]

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(_: Any) -> None:
            return

        await self.full.handle_request({**scope, "method": "DELETE", "headers": headers}, receive, send)

    async def serve(self, scope: Scope, receive: Receive, send: Send, *, quick: bool) -> None:
        """Pass one request to the SDK."""
        await (self.quick if quick else self.full).handle_request(scope, receive, send)

    def _http_side(self, *, json: bool) -> StreamableHTTPSessionManager:
        return StreamableHTTPSessionManager(
            app=self._server,
            json_response=json,
            max_request_body_size=self._limits.body_bytes_max,
            session_idle_timeout=self._limits.session_idle_seconds,
            max_sessions=SESSIONS_MAX,
        )

    def _start(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._tasks is not None:
            self._tasks.start_soon(run)
