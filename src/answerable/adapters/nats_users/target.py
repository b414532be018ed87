"""Publish messages and send requests on NATS for agents, under the user of one lease."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
import nats.errors

from answerable.adapters.nats_users.grants import is_plain_subject
from answerable.adapters.nats_users.issuer import inbox_of
from answerable.adapters.nats_users.server import FAILURES, NatsUser, closed
from answerable.adapters.nats_users.tokens import signing_key
from answerable.core.lease.credential import Performed
from answerable.errors.codes.leases import TARGET_ARGUMENTS
from answerable.targets.arguments import check_names
from answerable.targets.failures import connection_lost, login_refused, no_answer_in_time, not_reached
from answerable.targets.messages import sent_text, shown_body
from answerable.targets.results import refusal, success
from answerable.targets.tools import described_tool, hints

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from nats.aio.client import Client

    from answerable.adapters.nats_users.server import NatsServer
    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import Credential
    from answerable.ports.upstream import Progress

TAG_HEADER: Final = "Answerable-Action"
ARGUMENTS: Final = ("subject", "message")
_TAG: Final = re.compile(r"[A-Za-z0-9._:-]{0,128}")


class NatsTarget:
    """Implements `ports.brokered_target.BrokeredTarget`. result_bytes_max: limit of one answer."""

    def __init__(self, server: NatsServer, *, result_bytes_max: int = 262_144) -> None:
        self._server = server
        self._result_bytes_max = result_bytes_max

    def tools(self) -> tuple[Mapping[str, JSONValue], ...]:
        """Return the tools `publish` and `request`."""
        return TOOLS

    @asynccontextmanager
    async def connected(self, credential: Credential) -> AsyncIterator[NatsSession]:
        """Yield a session with one connection under the lease's user."""
        said = _Said()
        user = NatsUser(
            token=credential.secret.reveal("token"), key=signing_key(credential.secret.reveal("seed"), of="U")
        )
        try:
            client = await self._server.opened(
                user,
                label=credential.account,
                inbox=inbox_of(credential.lease),
                on_error=said.hear,
                on_closed=said.end,
            )
        except FAILURES as failed:
            is_refused = "uthorization" in str(failed) or "xpired" in str(failed)
            raise (login_refused if is_refused else not_reached)("nats") from None
        try:
            yield NatsSession(client, said, result_bytes_max=self._result_bytes_max)
        finally:
            await closed(client)


class _Said:
    """Errors that the server reported, and the call that must be woken by them."""

    def __init__(self) -> None:
        self.violation = ""
        self.waiting: anyio.CancelScope | None = None

    async def hear(self, error: Exception) -> None:
        if "permissions violation" in str(error).lower():
            self.violation = str(error)
            self._wake()

    async def end(self) -> None:
        """Wake the pending call, because the connection has ended: the library would let it wait."""
        self._wake()

    def _wake(self) -> None:
        if self.waiting is not None:
            self.waiting.cancel()


class NatsSession:
    """Implements `ports.brokered_target.TargetSession`."""

    def __init__(self, client: Client, said: _Said, *, result_bytes_max: int) -> None:
        self._client = client
        self._said = said
        self._result_bytes_max = result_bytes_max

    async def perform(
        self,
        tool: str,
        arguments: Mapping[str, JSONValue],
        *,
        tag: str,
        seconds_max: float,
        progress: Progress | None = None,
    ) -> Performed:
        """Publish one message or send one request. The tag is in the header `Answerable-Action`; arguments cannot set
        headers."""
        subject, message = _message(tool, arguments)
        if not _TAG.fullmatch(tag):
            raise TARGET_ARGUMENTS("the tag of the action cannot be sent as a header")
        if not self._client.is_connected:
            raise connection_lost("nats", was_sent=False)
        headers = {TAG_HEADER: tag} if tag else None
        self._said.violation = ""
        ask = self._request if tool == "request" else self._publish
        result: dict[str, object] | None = None
        try:
            with anyio.CancelScope() as self._said.waiting:
                result = await ask(subject, message, headers, seconds_max)
        except nats.errors.NoRespondersError:
            result = refusal("nobody answers requests on this subject")
        except nats.errors.MaxPayloadError:
            result = refusal("the message is longer than the server takes")
        except (TimeoutError, nats.errors.TimeoutError):
            raise no_answer_in_time("nats", seconds_max) from None
        except FAILURES:
            raise connection_lost("nats", was_sent=True) from None
        finally:
            self._said.waiting = None
        if self._said.violation:
            result = refusal(self._said.violation)
        if result is None:
            raise connection_lost("nats", was_sent=True)
        info = self._client._server_info
        session = f"server={info.get('server_id', '')} cid={self._client.client_id}"
        return Performed(result=result, session=(("nats_client", session),))

    async def _publish(
        self, subject: str, message: bytes, headers: dict[str, str] | None, seconds_max: float
    ) -> dict[str, object]:
        with anyio.fail_after(seconds_max):
            await self._client.publish(subject, message, headers=headers)
            # `flush` sends a PING ahead of pending messages. Flushing them first ensures that the server's error about
            # them arrives before its PONG.
            await self._client._flush_pending(force_flush=True)
            await self._client.flush(timeout=max(1, round(seconds_max)))
        return success({"published": True}, "published")

    async def _request(
        self, subject: str, message: bytes, headers: dict[str, str] | None, seconds_max: float
    ) -> dict[str, object]:
        answer = await self._client.request(subject, message, timeout=seconds_max, headers=headers)
        reply, is_cut, text = shown_body(answer.data, self._result_bytes_max)
        return success({"reply": reply, "cut": is_cut, "bytes": len(answer.data)}, text)


def _message(tool: str, arguments: Mapping[str, JSONValue]) -> tuple[str, bytes]:
    """Return subject and message. Raises Refused (`target.arguments`)."""
    check_names(tool, arguments, {"publish": ARGUMENTS, "request": ARGUMENTS})
    subject = arguments.get("subject")
    if not isinstance(subject, str) or not is_plain_subject(subject):
        raise TARGET_ARGUMENTS(
            "`subject` must be tokens separated by dots, without wildcards and spaces, and not an inbox"
        )
    return subject, sent_text("message", arguments.get("message", ""))


def _tool(name: str, title: str, says: str) -> Mapping[str, JSONValue]:
    properties: dict[str, JSONValue] = {
        "subject": {"type": "string", "description": "Tokens with dots between them, no wildcards."},
        "message": {"type": "string", "description": "What is sent, as text."},
    }
    about = hints(destroys=name == "request", goes_out=True)
    return described_tool(name, title, says, properties, "subject", hints=about)


TOOLS: Final = (
    _tool(
        "publish",
        "Publish on NATS",
        "Send a message to whoever listens on a subject, or to the stream that keeps it. Nobody answers.",
    ),
    _tool(
        "request",
        "Ask on NATS",
        "Send a message on a subject and wait for one answer; an error when nobody answers there.",
    ),
)
