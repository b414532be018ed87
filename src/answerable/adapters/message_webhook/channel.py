"""Post each approval message to a webhook as a CloudEvent in JSON, signed as Standard Webhooks 1.0 prescribes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode
from answerable.core.incident.cloud_event import signed_headers
from answerable.errors import Unavailable
from answerable.ports.message_channel import Sent

if TYPE_CHECKING:
    from answerable.core.approval.message import Message
    from answerable.core.canonical import JSONValue
    from answerable.ports.event_post import EventPost


class MessageWebhook:
    """Implements ports.message_channel.MessageChannel."""

    updates: Final = True

    def __init__(self, post: EventPost, *, url: str, secret: bytes, source: str) -> None:
        """source: URI of this deployment, for the CloudEvents `source` attribute."""
        self._post, self._url, self._secret, self._source = post, url, secret, source

    async def send(self, message: Message, address: str, *, handle: str, now: int) -> Sent:
        """Post the message. The webhook has one URL, so `address` and `handle` are not used."""
        del address, handle
        body = _event(message, source=self._source)
        headers = signed_headers(body, identity=message.id, at=now, secret=self._secret)
        try:
            answer = await self._post.post(self._url, headers, body)
        except Unavailable as error:
            return Sent(state="down", why=error.message.replace("a receiver of events", "the webhook"))
        if 200 <= answer.status < 300:
            return Sent(state="taken", handle=message.id)
        return Sent(
            state="down",
            why=f"the webhook answered with status {answer.status}",
            wait_seconds=answer.retry_after,
        )


def _event(message: Message, *, source: str) -> bytes:
    told: dict[str, JSONValue] = {
        "title": message.title,
        "sentence": message.sentence,
        "badges": [*message.badges],
        "lines": [{"label": label, "text": text} for label, text in message.lines],
        "link": message.link,
    }
    if message.until:
        told["expires_at"] = _instant(message.until)
    return encode(
        {
            "specversion": "1.0",
            "id": message.id,
            "source": source,
            "type": f"answerable.message.{message.kind}",
            "subject": message.thread,
            "time": _instant(message.at),
            "datacontenttype": "application/json",
            "data": told,
        }
    )


def _instant(at: int) -> str:
    moment = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")
