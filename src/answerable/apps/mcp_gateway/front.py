"""Bound, authenticate and strictly parse every HTTP message before the MCP SDK sees it.

The SDK takes the last of duplicate members, accepts NaN, and replaces invalid UTF-8; code above the SDK could not
detect that. So this module reads the bytes, verifies the proof over them, attaches their strict value to the request,
and then passes the same bytes to the SDK, where the SDK is used at all.
"""

from __future__ import annotations

import logging
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from msgspec import structs

from answerable.apps.mcp_gateway.admission import DRAINED_BYTES_MAX, Admission
from answerable.apps.mcp_gateway.arrival import SCOPE_KEY, Arrival, Read
from answerable.apps.mcp_gateway.exchange import exchange_of
from answerable.apps.mcp_gateway.message import StoppedError, check_kind, parsed_message
from answerable.apps.mcp_gateway.rpc_errors import (
    HANDSHAKE_VERSIONS,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    error_of,
    status_of,
)
from answerable.apps.mcp_gateway.wire import (
    TooLargeError,
    announced_bytes,
    answer_bytes,
    answer_json,
    answer_quickly,
    check_host,
    replayed,
    rpc_error,
    single_headers,
)
from answerable.core.action.told import told
from answerable.core.identity.proof.door_refusal import channel_of, sender_of
from answerable.core.identity.proof.session import SESSION_TARGET
from answerable.errors import AnswerableError, Malformed, Refused, Unverified, shown
from answerable.errors.codes.services import GATEWAY_OTHER_MESSAGE, HTTP_TARGET
from answerable.wiring.loop_share import source_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from starlette.types import Message, Receive, Scope, Send

    from answerable.apps.mcp_gateway.door import Door
    from answerable.apps.mcp_gateway.services import GatewayLimits, GatewayServices, Head
    from answerable.apps.mcp_gateway.tally import Tally
    from answerable.core.canonical import JSONValue

RETRY_SECONDS: Final = 1
SESSION_FIELD: Final = b"mcp-session-id"
PASSED_NOTIFICATIONS: Final = frozenset({"notifications/initialized", "notifications/cancelled"})

_PATH: Final = re.compile(r"/mcp/([a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?)")
_METHODS: Final = frozenset({"POST", "GET", "DELETE"})
_HANDSHAKE: Final = frozenset(version.encode() for version in HANDSHAKE_VERSIONS)

_log = logging.getLogger(__name__)


class Front:
    """The ASGI side of a gateway. door: returns the Door of a server, None if the server is not registered."""

    def __init__(
        self,
        needs: GatewayServices,
        limits: GatewayLimits,
        tally: Tally,
        *,
        door: Callable[[str], Awaitable[Door | None]],
    ) -> None:
        self._needs, self._prover = needs, needs.prover
        self._limits = limits
        self._tally = tally
        self._door = door
        self._admission = Admission(limits)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; a failure affects this request only."""
        started = False
        headers = scope["headers"]
        added = (*self._prover.answer_fields(headers), *_closing(headers))
        read = Read(exchange=exchange_of(scope), is_plain=not added)

        async def watched(message: Message) -> None:
            nonlocal started
            if not started and added:
                # Add each field once: a refusal may already have set its nonce, and clients treat two as none (RFC
                # 9449, section 8.2).
                headers = list(message.get("headers", ()))
                there = {name.lower() for name, _ in headers}
                headers += [field for field in added if field[0] not in there]
                message = {**message, "headers": headers}
            started = True
            await send(message)

        said: AnswerableError | str | None = None
        try:
            await self._served(scope, receive, watched, read)
        except TooLargeError:
            text, said = f"a message has at most {self._limits.body_bytes_max} bytes", "http.too_large"
            await self._stop(watched, 413, INVALID_REQUEST, text, said, read.id)
        except StoppedError as stop:
            said = stop.reason
            await self._stop(watched, stop.status, stop.code, stop.message, said, read.id)
        except AnswerableError as error:
            said = error
            await self._refuse(watched, error, read, scope)
        except Exception:
            _log.exception("a request failed at the front")
            if not started:
                await self._stop(watched, 500, INTERNAL_ERROR, "internal error", "gateway.failed", read.id)
        finally:
            if said is not None:
                self._needs.refused(said, sender_of(scope), agent=read.agent)

    async def _served(self, scope: Scope, receive: Receive, send: Send, read: Read) -> None:
        headers = single_headers(scope)
        check_host(headers, self._limits)
        method: str = scope["method"]
        if method not in _METHODS:
            raise StoppedError(405, INVALID_REQUEST, "only POST, GET and DELETE are served", "http.method")
        # A message whose head does not verify fails whatever its body is, so its body is not awaited.
        head = self._prover.head_of(method, _target(scope), scope["headers"], channel_of(scope))
        fault = self._needs.standing(head)
        agent = str(head.agent)
        try:
            self._admission.enter(agent)
            try:
                admitted = self._admitted(scope, receive, send, read, headers, head, fault)
                await self._needs.share.run(f"agent {agent}", admitted, stands=fault is None)
            finally:
                self._admission.leave(agent)
        except (AnswerableError, StoppedError, TooLargeError) as error:
            if not read.agent and not isinstance(error, Unverified):
                # Use up the proof first: for a copied head this raises, so that a copy causes no refusal under its
                # sender's name.
                head.use_up()
                read.agent = agent
            raise

    async def _admitted(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        read: Read,
        headers: dict[bytes, bytes],
        head: Head,
        fault: Refused | None,
    ) -> None:
        """Read and parse an authenticated agent's message, and pass it on within the agent's limits."""
        value: dict[str, JSONValue] = {}
        agent = str(head.agent)
        body = await self._admission.body(read.exchange, receive, headers, agent, fault)
        try:
            if head.request.target == SESSION_TARGET:
                try:
                    opened = self._prover.opened_by(head, body.content)
                except Malformed:
                    read.agent = agent
                    raise
                await answer_bytes(send, 200, opened.answer)
                return
            caller = head.over(body.digest)
            read.agent = str(caller.agent)
            if caller.message_digest != body.digest:
                raise GATEWAY_OTHER_MESSAGE("the checked proof covers other bytes than those received")
            path = _PATH.fullmatch(scope["path"])
            if path is None or scope.get("query_string"):
                raise StoppedError(404, INVALID_REQUEST, "nothing is served here", "http.path")
            if scope["method"] == "POST":
                check_kind(headers)
                parse = partial(parsed_message, body.content, self._limits)
                value = await body.aside(parse) if body.aside is not None else parse()
                read.id = value.get("id")
        finally:
            body.is_parsed()
        door = await self._door(path[1])
        if door is None:
            self._needs.unregistered(caller, path[1])
            raise StoppedError(
                404, INVALID_REQUEST, f"server {shown(path[1])} is not registered", "http.path"
            )
        request = head.request
        arrival = Arrival(
            message=value,
            caller=caller,
            mandate_id=request.mandate_id,
            chain=request.chain,
            aside=body.aside,
            scope=scope,
        )
        await self._passed(scope, headers, replayed(body.content, receive), send, read, door, arrival)

    async def _passed(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        send: Send,
        read: Read,
        door: Door,
        arrival: Arrival,
    ) -> None:
        """Pass a verified message to the SDK, in the era that the SDK will assign to it."""
        value = arrival.message
        version = headers.get(b"mcp-protocol-version")
        if value and "id" not in value and value["method"] not in PASSED_NOTIFICATIONS:
            self._tally.note(str(value["method"]))
            await answer_bytes(send, 202, b"")
            return
        if version is not None and version not in _HANDSHAKE:
            plain = door.plain_version(headers, scope["headers"], value)
            if plain is not None:
                with anyio.CancelScope() as present:
                    read.exchange.when_left(present.cancel)
                    status, answer = await door.plain_answer(arrival, plain)
                    await answer_quickly(read.exchange if read.is_plain else None, send, status, answer)
            elif _wants_stream(value):
                noting = self._noting(send, arrival)
                await door.serve({**scope, SCOPE_KEY: arrival}, receive, noting, quick=False)
            else:
                body = await receive()

                async def once() -> Message:
                    return body

                # In this mode the SDK itself does not notice that the caller left.
                with anyio.CancelScope() as present:
                    read.exchange.when_left(present.cancel)
                    noting = self._noting(send, arrival)
                    await door.serve({**scope, SCOPE_KEY: arrival}, once, noting, quick=True)
            return
        await self._in_session(scope, headers, receive, self._noting(send, arrival), door, arrival)

    async def _in_session(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        send: Send,
        door: Door,
        arrival: Arrival,
    ) -> None:
        agent = arrival.caller.agent
        named = headers.get(SESSION_FIELD)
        if named is None:
            if arrival.message.get("method") != "initialize":
                raise StoppedError(400, INVALID_REQUEST, "this revision needs a session", "session.missing")
            door.refuse_held(arrival)
            opened: list[str] = []

            async def noticing(message: Message) -> None:
                if message["type"] == "http.response.start" and message["status"] == 200:
                    opened.extend(
                        value.decode("latin-1")
                        for name, value in message["headers"]
                        if name.lower() == SESSION_FIELD
                    )
                    for session_id in opened:
                        await door.open_session(session_id, arrival, scope)
                await send(message)

            await door.serve({**scope, SCOPE_KEY: arrival}, receive, noticing, quick=False)
            return
        session = door.sessions.find(named.decode("latin-1"), agent)
        if session is None:
            raise StoppedError(404, INVALID_REQUEST, "Session not found", "session.unknown")
        bound = structs.replace(arrival, session=session)
        session.requests += 1
        try:
            await door.serve({**scope, SCOPE_KEY: bound}, receive, send, quick=False)
        finally:
            session.requests -= 1
            session.used_at = anyio.current_time()
            if scope["method"] == "DELETE":
                door.sessions.end(session.id)

    def _noting(self, send: Send, arrival: Arrival) -> Send:
        """Record what the SDK refuses before the gate sees the message, such as fields that differ from the body."""

        async def noting(message: Message) -> None:
            unheard = message["type"] == "http.response.start" and not arrival.reached
            if unheard and 400 <= message["status"] < 500:
                self._needs.refused("rpc.refused", sender_of(arrival.scope), agent=arrival.caller.agent)
            await send(message)

        return noting

    async def _refuse(self, send: Send, error: AnswerableError, read: Read, scope: Scope) -> None:
        code, message, extra = error_of(error)
        status = status_of(error)
        headers: tuple[tuple[bytes, bytes], ...] = ()
        if isinstance(error, Unverified):
            headers = self._prover.refusal_fields(error, scope["path"])
            if error.step == "credential":
                message = f"{error.message}; MCP clients that cannot do so go through `answerable mcp shim`"
        elif isinstance(error, Refused) and error.code == "http.host":
            status = 421
        elif error.code == "http.bodies_full":
            # Close the connection: the rest of this body is not wanted either.
            headers = ((b"retry-after", str(RETRY_SECONDS).encode()), (b"connection", b"close"))
        if not read.agent:
            await self._needs.share.turn(source_of(scope), bytes_thrown=announced_bytes(scope["headers"]))
        self._tally.stop(error.code)
        await answer_json(send, status, rpc_error(read.id, code, message, extra), headers=headers)

    async def _stop(
        self, send: Send, status: int, code: int, message: str, reason: str, request_id: JSONValue
    ) -> None:
        self._tally.stop(reason)
        headers: tuple[tuple[bytes, bytes], ...] = (
            ((b"allow", b"POST, GET, DELETE"),) if status == 405 else ()
        )
        data = {"code": reason, **told(message, retry=status == 429)}
        await answer_json(send, status, rpc_error(request_id, code, message, data), headers=headers)


def _closing(headers: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    """Return a `Connection: close` field if the unread body is too long to drain."""
    return ((b"connection", b"close"),) if announced_bytes(headers) > DRAINED_BYTES_MAX else ()


def _wants_stream(value: dict[str, JSONValue]) -> bool:
    """Whether anything besides the answer may have to be sent."""
    if value.get("method") == "subscriptions/listen":
        return True
    params = value.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    return isinstance(meta, dict) and "progressToken" in meta


def _target(scope: Scope) -> bytes:
    """Return path and query as on the wire. Raises Malformed (`http.target`)."""
    raw: Any = scope.get("raw_path")
    if not isinstance(raw, bytes):
        raise HTTP_TARGET(f"path {shown(scope['path'])} is missing in its raw form")
    query: bytes = scope.get("query_string", b"")
    return raw + b"?" + query if query else raw
