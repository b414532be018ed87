"""Perform agents' actions on RabbitMQ under a lease: publish a message with a confirm, or get one from a queue."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
from aiormq.exceptions import AMQPConnectionError, ChannelClosed, DeliveryError
from pamqp.commands import Basic
from pamqp.constants import DOMAIN_REGEX

from answerable.adapters.rabbitmq_users.server import FAILURES, closed, was_refused
from answerable.core.lease.credential import Performed
from answerable.errors import shown
from answerable.errors.codes.leases import TARGET_ARGUMENTS
from answerable.targets.failures import connection_lost, login_refused, no_answer_in_time, not_reached
from answerable.targets.messages import MESSAGE_BYTES_MAX, sent_text, shown_body
from answerable.targets.results import refusal, success
from answerable.targets.tools import described_tool, hints

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aiormq.abc import AbstractChannel, AbstractConnection

    from answerable.adapters.rabbitmq_users.server import RabbitServer
    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import Credential
    from answerable.ports.upstream import Progress

TEXT_BYTES_MAX: Final = 255
PERSISTENT: Final = 2
PROPERTIES: Final = ("content_type", "correlation_id", "message_type")
"""Message properties that arguments may set. The sender and the action are set by the broker."""
TAKE: Final = ("take", "look")
NAMES: Final = frozenset(("exchange", "queue"))


class RabbitTarget:
    """Implements `ports.brokered_target.BrokeredTarget`. result_bytes_max: of one message body in a result."""

    def __init__(self, server: RabbitServer, *, result_bytes_max: int = 262_144) -> None:
        self._server = server
        self._result_bytes_max = result_bytes_max

    def tools(self) -> tuple[Mapping[str, JSONValue], ...]:
        """Return the tools `publish` and `get`."""
        return TOOLS

    @asynccontextmanager
    async def connected(self, credential: Credential) -> AsyncIterator[RabbitSession]:
        """Open a connection as the user of the lease."""
        try:
            connection, name = await self._server.opened(
                credential.account, credential.secret.reveal("password")
            )
        except FAILURES as failed:
            is_refused = was_refused(failed)
            raise (login_refused if is_refused else not_reached)("rabbitmq") from None
        try:
            yield RabbitSession(
                connection, name=name, account=credential.account, result_bytes_max=self._result_bytes_max
            )
        finally:
            await closed(connection)


class RabbitSession:
    """Implements `ports.brokered_target.TargetSession`."""

    def __init__(
        self, connection: AbstractConnection, *, name: str, account: str, result_bytes_max: int
    ) -> None:
        self._connection = connection
        self._name = name
        self._account = account
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
        """Perform one tool call on a channel of its own, since the server closes a channel when it refuses something.
        The tag becomes the message id."""
        ask = _checked(tool, arguments)
        if self._connection.is_closed:
            raise connection_lost("rabbitmq", was_sent=False)
        try:
            with anyio.fail_after(seconds_max):
                channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
                if tool == "publish":
                    result = await self._publish(channel, ask, tag)
                else:
                    result = await self._get(channel, ask)
                await channel.close()
        except DeliveryError as returned:
            result = refusal(_why_returned(returned))
        except ChannelClosed as said:
            result = refusal(str(said))
        except TimeoutError:
            raise no_answer_in_time("rabbitmq", seconds_max) from None
        except (AMQPConnectionError, *FAILURES):
            raise connection_lost("rabbitmq", was_sent=True) from None
        return Performed(result=result, session=(("rabbitmq_connection", self._name),))

    async def _publish(self, channel: AbstractChannel, ask: dict[str, str], tag: str) -> dict[str, object]:
        """Publish with the mandatory flag, so that a message that reaches no queue is returned, and with a confirm, so
        that the server has accepted it."""
        properties = Basic.Properties(
            content_type=ask.get("content_type", "text/plain; charset=utf-8"),
            correlation_id=ask.get("correlation_id"),
            message_type=ask.get("message_type"),
            delivery_mode=PERSISTENT,
            message_id=tag or None,
            user_id=self._account,
        )
        await channel.basic_publish(
            ask["message"].encode(),
            exchange=ask["exchange"],
            routing_key=ask["routing_key"],
            properties=properties,
            mandatory=True,
        )
        return success({"published": True}, "published, and taken by the server")

    async def _get(self, channel: AbstractChannel, ask: dict[str, str]) -> dict[str, object]:
        found = await channel.basic_get(ask["queue"], no_ack=False)
        if isinstance(found.delivery, Basic.GetEmpty) or found.delivery_tag is None:
            return success({"message": None}, "the queue is empty")
        if ask["mode"] == "take":
            await channel.basic_ack(found.delivery_tag)
        else:
            await channel.basic_nack(found.delivery_tag, requeue=True)
        body, is_cut, text = shown_body(found.body, self._result_bytes_max)
        header = found.header.properties
        message: dict[str, JSONValue] = {
            "body": body,
            "bytes": len(found.body),
            "cut": is_cut,
            "exchange": found.exchange or "",
            "routing_key": found.routing_key or "",
            "redelivered": bool(found.redelivered),
            "content_type": header.content_type,
            "correlation_id": header.correlation_id,
            "message_type": header.message_type,
            "user_id": header.user_id,
        }
        return success({"message": message}, text)


def _checked(tool: str, arguments: Mapping[str, JSONValue]) -> dict[str, str]:
    """Return the arguments, all of them texts. Raises Refused (`target.arguments`)."""
    if tool == "publish":
        needed, optional = {"exchange", "routing_key", "message"}, set(PROPERTIES)
    elif tool == "get":
        needed, optional = {"queue", "mode"}, set()
    else:
        raise TARGET_ARGUMENTS(f"there is no tool {shown(tool)}: use `publish` or `get`")
    if odd := sorted((arguments.keys() - needed - optional) | (needed - arguments.keys())):
        raise TARGET_ARGUMENTS(f"argument {shown(odd[0])} of tool {shown(tool)} is missing or unknown")
    texts = {
        name: sent_text(
            name, given, bytes_max=MESSAGE_BYTES_MAX if name == "message" else TEXT_BYTES_MAX
        ).decode()
        for name, given in arguments.items()
    }
    for name in NAMES & texts.keys():
        # The client looks at a name when it sends it, and then closes the connection.
        if not DOMAIN_REGEX[f"{name}-name"].fullmatch(texts[name]):
            raise TARGET_ARGUMENTS(
                f"`{name}` is no name that AMQP 0-9-1 allows: letters, digits, blanks and `-_.:@#,/`"
            )
    if tool == "publish" and not texts["exchange"]:
        raise TARGET_ARGUMENTS(
            "`exchange` is empty: no lease may use the default exchange, which reaches every queue"
        )
    if tool == "get" and (not texts["queue"] or texts["mode"] not in TAKE):
        raise TARGET_ARGUMENTS("`queue` must be a name, and `mode` `take` or `look`")
    return texts


def _why_returned(returned: DeliveryError) -> str:
    frame = returned.frame
    if isinstance(frame, Basic.Return):
        return f"the message reached no queue and was returned: {frame.reply_code} {frame.reply_text}"
    return "the server did not take the message"


_TEXT: Final[JSONValue] = {"type": "string"}
TOOLS: Final = (
    described_tool(
        "publish",
        "Publish on RabbitMQ",
        "Send a message to an exchange; an error when no queue got it. Returns when the server has taken it.",
        {
            "exchange": _TEXT,
            "routing_key": _TEXT,
            "message": {"type": "string", "description": "What is sent, as text."},
            **dict.fromkeys(PROPERTIES, _TEXT),
        },
        "exchange",
        "routing_key",
        "message",
        hints=hints(goes_out=True),
    ),
    described_tool(
        "get",
        "Get from a RabbitMQ queue",
        "Get the next message of a queue: `take` removes it, `look` puts it back, marked as delivered once.",
        {"queue": _TEXT, "mode": {"type": "string", "enum": [*TAKE]}},
        "queue",
        "mode",
        hints=hints(destroys=True, goes_out=True),
    ),
)
