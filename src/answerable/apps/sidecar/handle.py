"""A handle: a Unix socket in a private directory that acts for one identity, for the sidecar's own descendants only.

POST /mcp/SERVER     an MCP message, proved and sent on (GET and DELETE as MCP has them)
GET /instance        the identity, and the public key that others delegate to
/tasks, /delegations what it acts under, and delegation to others; see `tasks.py`
POST /sub-agents     another handle, for a sub-agent with a key and a name of its own
DELETE /instance     ends it, if this is the handle of a sub-agent
POST /stop           stops this instance and its sub-agents until people lift it; /stop/agent the whole agent
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final, Literal

import anyio
import anyio.to_thread
import h11
from anyio.abc import SocketAttribute, TaskGroup, TaskStatus

from answerable.apps.sidecar.http_server import converse
from answerable.apps.sidecar.process_ancestry import is_kin
from answerable.apps.sidecar.relay import relay
from answerable.apps.sidecar.tasks import Tasks
from answerable.errors import AnswerableError, Refused, Unavailable, Unverified
from answerable.errors.codes.services import SIDECAR_SOCKET

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    import httpx2
    from anyio.abc import SocketStream

    from answerable.apps.sidecar.http_server import HttpRequest, Reply
    from answerable.apps.sidecar.identity import Identity
    from answerable.core.canonical import JSONValue

SOCKET_MODE: Final = 0o600
CONNECTIONS_MAX: Final = 128
"""Concurrent connections of one handle; more wait to be accepted."""

_log: Final = logging.getLogger("answerable.sidecar")


class Handle:
    """One handle. path: of its socket. sub_agent: makes another handle. ended: set when its sub-agent asked to be
    ended."""

    def __init__(
        self,
        *,
        path: Path,
        client: httpx2.AsyncClient,
        base: str,
        identity: Identity,
        sub_agent: Callable[[], Awaitable[Handle]] | None = None,
    ) -> None:
        self.path: Final = path
        self.identity: Final = identity
        self.ended: Final = anyio.Event()
        self._client = client
        self._base = base
        self._sub_agent = sub_agent
        self._tasks = Tasks(client, base, identity)

    @property
    def address(self) -> str:
        """The address as in ANSWERABLE_GATEWAY."""
        return f"unix:{self.path}"

    async def serve(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled, or until `ended`. Raises Unavailable (`sidecar.socket`)."""
        room = anyio.CapacityLimiter(CONNECTIONS_MAX)
        try:
            listener = await anyio.create_unix_listener(self.path, mode=SOCKET_MODE)
        except OSError as error:
            raise SIDECAR_SOCKET(f"the handle's socket cannot be created: {error.strerror}") from None
        try:
            async with listener, anyio.create_task_group() as tasks:
                tasks.start_soon(self._until_ended, tasks)
                task_status.started()

                async def taken(stream: SocketStream) -> None:
                    async with room, stream:
                        await self._taken(stream)

                await listener.serve(taken)
        finally:
            if self.path.exists():
                os.unlink(self.path)

    async def _until_ended(self, tasks: TaskGroup) -> None:
        await self.ended.wait()
        tasks.cancel_scope.cancel()

    async def _taken(self, stream: SocketStream) -> None:
        connected = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - of anyio, not of Django
        kin = await anyio.to_thread.run_sync(is_kin, connected)
        if not kin:
            _log.warning("a process that is not the agent's connected to the handle and was refused")
            return
        try:
            await converse(stream, self._answer)
        except* (
            ConnectionAbortedError,
            anyio.BrokenResourceError,
            anyio.ClosedResourceError,
            h11.ProtocolError,
        ):
            pass
        except* Exception as errors:
            _log.error("a request at the handle failed", exc_info=errors)

    async def _answer(self, request: HttpRequest, reply: Reply) -> None:
        match request.method, request.target:
            case "GET", "/instance":
                await reply.json(200, self._told())
            case "POST", "/sub-agents":
                await self._asked_for_sub_agent(reply)
            case "DELETE", "/instance" if self._sub_agent is None:
                await reply.json(200, {"ended": [str(self.identity.enrolled.instance)]})
                await reply.end()
                self.ended.set()
            case "POST", "/stop" | "/stop/agent":
                await self._asked_to_stop("agent" if request.target == "/stop/agent" else "instance", reply)
            case _ if self._tasks.serves(request):
                await self._tasks.answer(request, reply)
            case _:
                await relay(self._client, self._base, self.identity, self._tasks, request, reply)

    async def _asked_to_stop(self, over: Literal["instance", "agent"], reply: Reply) -> None:
        try:
            hold = await self.identity.stop(over)
        except AnswerableError as error:
            await reply.json(_status(error), _problem(error.code, error.message))
            return
        await reply.json(200, {"hold": hold})

    async def _asked_for_sub_agent(self, reply: Reply) -> None:
        if self._sub_agent is None:
            await reply.json(403, _problem("instance.depth", "a sub-agent has no sub-agents of its own"))
            return
        try:
            made = await self._sub_agent()
        except AnswerableError as error:
            if isinstance(error, Unverified):
                self.identity.doubt()
            await reply.json(_status(error), _problem(error.code, error.message))
            return
        await reply.json(201, {**made._told(), "gateway": made.address})

    def _told(self) -> dict[str, JSONValue]:
        enrolled = self.identity.enrolled
        return {
            "agent": enrolled.agent,
            "drift": list(enrolled.drift),
            "grade": enrolled.grade,
            "instance": str(enrolled.instance),
            "key": self.identity.public_jwk,
            "manifest": enrolled.manifest,
            "milliseconds_left": int(self.identity.seconds_left() * 1000),
            "source": enrolled.source,
        }


def _status(error: AnswerableError) -> int:
    return {Refused: 403, Unverified: 401, Unavailable: 503}.get(type(error), 400)


def _problem(code: str, message: str) -> dict[str, JSONValue]:
    return {"code": code, "detail": message}
