"""Below the SDK: every HTTP message is bounded, proved and parsed strictly before the SDK sees a byte of it.

The SDK takes the last of duplicate members, takes NaN, and reads invalid UTF-8 as something else; nothing above it
could see that. So the bytes are read here, the proof is checked over these bytes, their strict value goes along with
the request, and then the SDK gets the same bytes, where it is asked at all.
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp_types import INTERNAL_ERROR, INVALID_REQUEST, PARSE_ERROR
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from answerable.apps.mcp_gateway import translate
from answerable.apps.mcp_gateway.arrival import SCOPE_KEY, Arrival, Read
from answerable.apps.mcp_gateway.plain import plain_answer, plain_version
from answerable.apps.mcp_gateway.wire import (
    BodyBudget,
    TooLargeError,
    answer_bytes,
    answer_json,
    check_host,
    read_body,
    replayed,
    rpc_error,
    single_headers,
)
from answerable.core.canonical import Limits, parse
from answerable.core.identity.door_refusal import sender_of
from answerable.core.identity.session import SESSION_TARGET
from answerable.errors import AnswerableError, Broken, Malformed, Refused, Unverified, shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from starlette.types import Message, Receive, Scope, Send

    from answerable.apps.mcp_gateway.door import Door
    from answerable.apps.mcp_gateway.needs import GatewayLimits, Needs
    from answerable.apps.mcp_gateway.tally import Tally
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.caller import VerifiedCaller
    from answerable.core.identity.channel import Channel
    from answerable.core.identity.http_signature import SignedRequest

PROOF_FIELDS: Final = frozenset({b"signature-input", b"authorization", b"dpop"})
RETRY_SECONDS: Final = 1
SESSION_FIELD: Final = b"mcp-session-id"
PASSED_NOTIFICATIONS: Final = frozenset({"notifications/initialized", "notifications/cancelled"})

_PATH: Final = re.compile(r"/mcp/([a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?)")
_METHODS: Final = frozenset({"POST", "GET", "DELETE"})
_HANDSHAKE: Final = frozenset(version.encode() for version in HANDSHAKE_PROTOCOL_VERSIONS)

_log = logging.getLogger(__name__)


class _StoppedError(Exception):
    """A message that is answered here with a JSON-RPC error of the protocol's own."""

    def __init__(self, status: int, code: int, message: str, reason: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.reason = status, code, message, reason


class Front:
    """The ASGI side of a gateway. door: finds the door of a server, None when it is not registered."""

    def __init__(
        self,
        needs: Needs,
        limits: GatewayLimits,
        tally: Tally,
        *,
        door: Callable[[str], Awaitable[Door | None]],
    ) -> None:
        self._prover = needs.prover
        self._refused, self._unregistered = needs.refused, needs.unregistered
        self._limits = limits
        self._tally = tally
        self._door = door
        self._parsing = Limits(size_bytes_max=limits.body_bytes_max)
        self._budget = BodyBudget(limits.bodies_bytes_max)
        self._requests: dict[str, int] = {}
        self._watching: set[asyncio.Task[None]] = set()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; whatever fails, fails alone."""
        started = False
        given = self._prover.answer_fields(scope["headers"])

        async def watched(message: Message) -> None:
            nonlocal started
            if not started and given:
                # Each once: a refusal may have put its nonce there already, and clients take two for none (RFC 9449,
                # section 8.2).
                headers = list(message.get("headers", ()))
                there = {name.lower() for name, _ in headers}
                headers += [field for field in given if field[0] not in there]
                message = {**message, "headers": headers}
            started = True
            await send(message)

        read = Read()
        said: AnswerableError | str | None = None
        try:
            await self._served(scope, receive, watched, read)
        except TooLargeError:
            text, said = f"a message has at most {self._limits.body_bytes_max} bytes", "http.too_large"
            await self._stop(watched, 413, INVALID_REQUEST, text, said)
        except _StoppedError as stop:
            said = stop.reason
            await self._stop(watched, stop.status, stop.code, stop.message, said, read.id)
        except AnswerableError as error:
            said = error
            await self._refuse(watched, error, read.id, scope["path"])
        except Exception:
            _log.exception("a request failed at the front")
            if not started:
                await self._stop(watched, 500, INTERNAL_ERROR, "internal error", "gateway.failed", read.id)
        finally:
            if said is not None:
                self._refused(said, sender_of(scope), agent=read.agent)

    async def _served(self, scope: Scope, receive: Receive, send: Send, read: Read) -> None:
        headers = single_headers(scope)
        check_host(headers, self._limits)
        method: str = scope["method"]
        if method not in _METHODS:
            raise _StoppedError(405, INVALID_REQUEST, "only POST, GET and DELETE are served", "http.method")
        target = _target(scope)
        channel = sender_of(scope).channel
        if not _may_be_proved(scope, channel):
            # It fails whatever its body is, so no byte of that is waited for.
            self._prover.verify(self._prover.receive(method, target, scope["headers"], b""))
            raise Broken("a message without a proof was taken for proved", code="gateway.other_message")
        body = await read_body(receive, headers, self._limits, self._budget)
        message = self._prover.receive(method, target, scope["headers"], body)
        if target == SESSION_TARGET:
            opened = self._prover.open_session(message)
            await answer_bytes(send, 200, opened.answer)
            return
        caller = self._prover.verify(message, channel)
        if caller.message_digest != sha256(body).digest():
            raise Broken(
                "the proof is over other bytes than those that came in", code="gateway.other_message"
            )
        read.agent = str(caller.agent)
        await self._proved(scope, headers, receive, send, body, caller, message, read)

    async def _proved(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        send: Send,
        body: bytes,
        caller: VerifiedCaller,
        signed: SignedRequest,
        read: Read,
    ) -> None:
        """Parse what a proved agent sent, and pass it on within the agent's bounds."""
        path = _PATH.fullmatch(scope["path"])
        if path is None or scope.get("query_string"):
            raise _StoppedError(404, INVALID_REQUEST, "nothing is served here", "http.path")
        value: dict[str, JSONValue] = {}
        if scope["method"] == "POST":
            value = self._parsed(headers, body)
            read.id = value.get("id")
        door = await self._door(path[1])
        if door is None:
            self._unregistered(caller, path[1])
            raise _StoppedError(
                404, INVALID_REQUEST, f"server {shown(path[1])} is not registered", "http.path"
            )
        agent = str(caller.agent)
        self._enter(agent)
        try:
            await self._passed(scope, headers, replayed(body, receive), send, door, value, caller, signed)
        finally:
            self._leave(agent)

    def _parsed(self, headers: dict[bytes, bytes], body: bytes) -> dict[str, JSONValue]:
        """The one request or notification in the body."""
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            raise _StoppedError(415, INVALID_REQUEST, "a message is application/json", "http.content_type")
        try:
            value = parse(body, limits=self._parsing)
        except Malformed as fault:
            raise _StoppedError(400, PARSE_ERROR, f"parse error: {fault.message}", fault.code) from None
        if isinstance(value, list):
            raise _StoppedError(400, INVALID_REQUEST, "batches are not served", "rpc.batch")
        if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
            raise _StoppedError(400, INVALID_REQUEST, "a message is one JSON-RPC 2.0 object", "rpc.shape")
        if not isinstance(value.get("method"), str):
            # Nothing is ever asked of a client here, so there is nothing that it could answer.
            raise _StoppedError(400, INVALID_REQUEST, "a message has a method", "rpc.shape")
        if "id" in value and type(value["id"]) not in (str, int):
            raise _StoppedError(400, INVALID_REQUEST, "an id is text or an integer", "rpc.shape")
        if value.keys() - {"jsonrpc", "id", "method", "params"}:
            raise _StoppedError(400, INVALID_REQUEST, "a message has an unknown member", "rpc.shape")
        return value

    async def _passed(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        send: Send,
        door: Door,
        value: dict[str, JSONValue],
        caller: VerifiedCaller,
        signed: SignedRequest,
    ) -> None:
        """Hand a proved message to the SDK, in the era that the SDK will take it for."""
        version = headers.get(b"mcp-protocol-version")
        if value and "id" not in value and value["method"] not in PASSED_NOTIFICATIONS:
            self._tally.note(str(value["method"]))
            await answer_bytes(send, 202, b"")
            return
        arrival = Arrival(
            message=value, caller=caller, mandate_id=signed.mandate_id, chain=signed.chain, scope=scope
        )
        if version is not None and version not in _HANDSHAKE:
            plain = plain_version(headers, scope["headers"], value)
            if plain is not None:
                with self._while_present(receive):
                    status, answer = await plain_answer(door.gate, arrival, plain)
                    await answer_json(send, status, answer)
            elif _wants_stream(value):
                noting = self._noting(send, arrival)
                await door.serve({**scope, SCOPE_KEY: arrival}, receive, noting, quick=False)
            else:
                body = await receive()

                async def once() -> Message:
                    return body

                # The SDK itself would not notice in this mode.
                with self._while_present(receive):
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
                raise _StoppedError(400, INVALID_REQUEST, "this revision needs a session", "session.missing")
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
            raise _StoppedError(404, INVALID_REQUEST, "Session not found", "session.unknown")
        bound = replace(arrival, session=session)
        session.requests += 1
        try:
            await door.serve({**scope, SCOPE_KEY: bound}, receive, send, quick=False)
        finally:
            session.requests -= 1
            session.used_at = anyio.current_time()
            if scope["method"] == "DELETE":
                door.sessions.end(session.id)

    def _noting(self, send: Send, arrival: Arrival) -> Send:
        """Note what the SDK refuses before the gate hears of it, such as fields that differ from the body."""

        async def noting(message: Message) -> None:
            unheard = message["type"] == "http.response.start" and not arrival.reached
            if unheard and 400 <= message["status"] < 500:
                self._refused("rpc.refused", sender_of(arrival.scope), agent=arrival.caller.agent)
            await send(message)

        return noting

    @contextmanager
    def _while_present(self, receive: Receive) -> Iterator[None]:
        """What is inside is cancelled when the caller leaves. A task group would cost several times as much."""
        inside = True

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            # After an answer the server says the same, to end this task.
            if inside:
                present.cancel()

        watching = asyncio.get_running_loop().create_task(watch())
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)
        with anyio.CancelScope() as present:
            try:
                yield
            finally:
                inside = False

    def _enter(self, agent: str) -> None:
        open_now = self._requests.get(agent, 0)
        if open_now >= self._limits.requests_per_agent_max:
            raise _StoppedError(
                429, INTERNAL_ERROR, f"an agent has at most {self._limits.requests_per_agent_max} requests at a time",
                "http.too_many",
            )  # fmt: skip
        self._requests[agent] = open_now + 1

    def _leave(self, agent: str) -> None:
        left = self._requests[agent] - 1
        if left:
            self._requests[agent] = left
        else:
            del self._requests[agent]

    async def _refuse(self, send: Send, error: AnswerableError, request_id: JSONValue, path: str) -> None:
        code, message, extra = translate.error_of(error)
        status = translate.status_of(error)
        headers: tuple[tuple[bytes, bytes], ...] = ()
        if isinstance(error, Unverified):
            headers = self._prover.refusal_fields(error, path)
            if error.step == "credential":
                message = f"{error.message}; MCP clients that cannot do so go through `answerable mcp shim`"
        elif isinstance(error, Refused) and error.code == "http.host":
            status = 421
        elif error.code == "http.bodies_full":
            # The rest of this body is not wanted either.
            headers = ((b"retry-after", str(RETRY_SECONDS).encode()), (b"connection", b"close"))
        self._tally.stop(error.code)
        await answer_json(send, status, rpc_error(request_id, code, message, extra), headers=headers)

    async def _stop(
        self, send: Send, status: int, code: int, message: str, reason: str, request_id: JSONValue = None
    ) -> None:
        self._tally.stop(reason)
        headers = ((b"allow", b"POST, GET, DELETE"),) if status == 405 else ()
        await answer_json(
            send, status, rpc_error(request_id, code, message, {"code": reason}), headers=headers
        )


def _wants_stream(value: dict[str, JSONValue]) -> bool:
    """Whether more than the answer may have to go out."""
    if value.get("method") == "subscriptions/listen":
        return True
    params = value.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    return isinstance(meta, dict) and "progressToken" in meta


def _may_be_proved(scope: Scope, channel: Channel | None) -> bool:
    """Whether head or connection carry anything that could be a proof."""
    if channel is not None and (channel.peer is not None or channel.certificate):
        return True
    return any(name in PROOF_FIELDS for name, _ in scope["headers"])


def _target(scope: Scope) -> bytes:
    """Path and query as on the wire. Raises Malformed (`http.target`)."""
    raw: Any = scope.get("raw_path")
    if not isinstance(raw, bytes):
        raise Malformed(f"path {shown(scope['path'])} has no raw form", code="http.target")
    query: bytes = scope.get("query_string", b"")
    return raw + b"?" + query if query else raw
