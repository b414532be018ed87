"""Send requests to a model provider and read its answers incrementally and within limits."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

import anyio
import httpx2

from answerable.adapters.model_provider import anthropic, openai
from answerable.adapters.model_provider.asked import refused
from answerable.adapters.model_provider.event_stream import EventStream
from answerable.adapters.model_provider.said import Said
from answerable.core.canonical import DEPTH_MAX, Limits, encode, parse
from answerable.core.lease.credential_redaction import EchoStream
from answerable.errors import Malformed
from answerable.errors.codes.registry import MODEL_ANSWER, MODEL_STREAM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from answerable.adapters.model_provider.asked import Chat
    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential_redaction import Echoes
    from answerable.ports.upstream import Progress

Api = Literal["openai", "anthropic"]
SESSION_HEADERS: Final = ("request-id", "x-request-id", "cf-ray")
SESSION_CHARS_MAX: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The circumstances of one call. headers: including the key. tag: the action's id."""

    headers: tuple[tuple[str, str], ...]
    credential_redaction: Echoes
    tag: str
    progress: Progress | None
    seconds_max: float

    def __repr__(self) -> str:
        return "Call()"


class ProviderWire:
    """One connection to a provider."""

    def __init__(
        self,
        base_url: str,
        api: Api,
        transport: httpx2.AsyncHTTPTransport,
        *,
        limit_name: str,
        answer_bytes_max: int,
        connect_seconds_max: float,
    ) -> None:
        parts = urlsplit(base_url)
        self.host = parts.netloc
        self._root = f"{parts.scheme}://{parts.netloc}"
        self._below = parts.path.rstrip("/")
        self._api = api
        self._transport = transport
        self._limit_name = limit_name
        self._answer_bytes_max = answer_bytes_max
        self._connect_seconds_max = connect_seconds_max

    @asynccontextmanager
    async def chatting(self, chat: Chat, call: Call) -> AsyncIterator[httpx2.Response]:
        """Send a chat and yield the unread response. Raises Refused (`target.arguments`) before anything is sent."""
        path = anthropic.PATH if self._api == "anthropic" else openai.PATH
        try:
            body = encode(
                anthropic.body_of(chat)
                if self._api == "anthropic"
                else openai.body_of(chat, limit_name=self._limit_name)
            )
        except Malformed as fault:
            raise refused(f"the messages cannot be sent: {fault.message}") from None
        async with self._answered("POST", path, body, call) as response:
            yield response

    @asynccontextmanager
    async def listing(self, call: Call) -> AsyncIterator[httpx2.Response]:
        """Request the provider's model list and yield the unread response."""
        path = "/models?limit=1000" if self._api == "anthropic" else "/models"
        async with self._answered("GET", path, b"", call) as response:
            yield response

    async def whole(self, response: httpx2.Response, call: Call) -> dict[str, JSONValue]:
        """Read a JSON object, with secrets removed. Raises Malformed (`model.answer`)."""
        content = call.credential_redaction.hidden_in(await self.read(response))
        try:
            said = parse(
                content, limits=Limits(size_bytes_max=self._answer_bytes_max, depth_max=DEPTH_MAX - 8)
            )
        except Malformed:
            said = None
        if not isinstance(said, dict):
            raise MODEL_ANSWER()
        return said

    async def read(self, response: httpx2.Response) -> bytes:
        """Read a body up to the limit."""
        received = bytearray()
        async for chunk in response.aiter_raw():
            received += chunk
            if len(received) > self._answer_bytes_max:
                break
        return bytes(received)

    def said_in(self, answer: Mapping[str, JSONValue]) -> Said:
        """Decode a complete answer."""
        return anthropic.said_in(answer) if self._api == "anthropic" else openai.said_in(answer)

    async def streamed(self, response: httpx2.Response, chat: Chat, call: Call) -> Said:
        """Read a streamed answer and report it as progress. It is cut as soon as more tokens than reserved were
        written, so the excess is at most one piece. Raises Malformed (`model.stream`) if the stream is invalid or
        breaks off."""
        api = anthropic if self._api == "anthropic" else openai
        said, events, shown = Said(), EventStream(), EchoStream(call.credential_redaction)
        size = 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            for name, data in events.take(chunk):
                event = _event(data)
                said.is_ended = said.is_ended or api.is_end(data, event)
                if "error" in event:
                    said.stop, said.is_ended = "error", True
                piece = api.take_event(said, name, event)
                if piece:
                    await _tell(call, said, chat, shown.pass_on(piece))
                if said.counted > chat.max_tokens:
                    said.is_cut = True
                    break
            if said.is_cut or said.is_ended or size > self._answer_bytes_max:
                break
        if size > self._answer_bytes_max:
            said.is_cut = True
        await _tell(call, said, chat, shown.rest())
        if not (said.is_cut or said.is_ended or said.stop):
            raise MODEL_STREAM("the stream ended in the middle of the answer")
        return said

    @asynccontextmanager
    async def _answered(
        self, method: str, path: str, body: bytes, call: Call
    ) -> AsyncIterator[httpx2.Response]:
        own = {
            "host": self.host,
            "accept": "application/json, text/event-stream",
            "accept-encoding": "identity",
            "user-agent": f"answerable/{call.tag}" if call.tag else "answerable",
        }
        if body:
            own |= {"content-type": "application/json", "content-length": str(len(body))}
        if self._api == "anthropic":
            own["anthropic-version"] = anthropic.VERSION
        if call.tag:
            digest = sha256(f"answerable traceparent {call.tag}".encode()).hexdigest()
            own |= {"x-client-request-id": call.tag, "traceparent": f"00-{digest[:32]}-{digest[32:48]}-01"}
        wait = call.seconds_max
        request = httpx2.Request(
            method,
            self._root,
            headers=[*own.items(), *call.headers],
            content=body,
            extensions={
                "target": f"{self._below}{path}".encode("ascii"),
                "timeout": {
                    "connect": self._connect_seconds_max,
                    "read": wait,
                    "write": wait,
                    "pool": self._connect_seconds_max,
                },
            },
        )
        response = await self._transport.handle_async_request(request)
        try:
            yield response
        finally:
            # Closing the connection tells the provider to stop.
            with anyio.CancelScope(shield=True):
                await response.aclose()


def session_of(
    response: httpx2.Response, said: Said | None, credential_redaction: Echoes
) -> tuple[tuple[str, str], ...]:
    """Return the provider's names for the request and the answer."""
    found = [
        (f"http_{name.replace('-', '_')}", credential_redaction.hidden_text(value)[:SESSION_CHARS_MAX])
        for name in SESSION_HEADERS
        if (value := response.headers.get(name, "")) and value.isprintable()
    ]
    if said is not None and said.id and said.id.isprintable():
        found.append(("model_response", credential_redaction.hidden_text(said.id)[:SESSION_CHARS_MAX]))
    return tuple(found)


async def _tell(call: Call, said: Said, chat: Chat, text: str) -> None:
    if call.progress is not None and text:
        await call.progress(float(min(said.counted, chat.max_tokens)), float(chat.max_tokens), text)


def _event(data: str) -> dict[str, JSONValue]:
    """Parse an event's data; empty if it is no object, such as the end mark."""
    try:
        event = parse(data.encode("utf-8", "replace"), limits=Limits(depth_max=DEPTH_MAX - 8))
    except Malformed:
        return {}
    return event if isinstance(event, dict) else {}
