"""Send Web Push messages (RFC 8030): encrypted for one device (RFC 8291), from a server that identifies itself (VAPID,
RFC 8292).

The push service sees that a message was sent, when, how long, and to which device; not its content. The notification
leads to the approval page by the approval's id alone: the message contains no address.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from answerable.adapters.web_push.encryption import encrypted
from answerable.core.approval.push_device import is_endpoint
from answerable.core.base64url import from_base64url_32, to_base64url
from answerable.core.canonical import encode, parse
from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.identity.keys.keys import SigningKey
from answerable.errors import Unavailable
from answerable.errors.codes.approval import PUSH_KEY
from answerable.ports.message_channel import Sent

if TYPE_CHECKING:
    from answerable.core.approval.message import Message
    from answerable.core.approval.push_device import PushDevice
    from answerable.ports.event_post import EventPost
    from answerable.ports.push_register import PushRegister

PAYLOAD_BYTES: Final = 2_048
"""Every message has this length, so that the length reveals nothing about the content. Push services accept 4,096."""
TITLE_CHARS_MAX: Final = 100
BODY_CHARS_MAX: Final = 240
TTL_SECONDS_MAX: Final = 3_600
TOKEN_SECONDS: Final = 3_600
_GONE: Final = frozenset({404, 410})


class WebPushChannel:
    """Implements ports.message_channel.MessageChannel. Addresses are ids of devices."""

    updates: Final = True

    def __init__(
        self,
        post: EventPost,
        register: PushRegister,
        *,
        key: SigningKey,
        contact: str,
        hosts: tuple[str, ...],
    ) -> None:
        """key: on P-256; device subscriptions are permanently bound to it. contact: mail address for push services.
        hosts: of accepted push services."""
        self._post, self._register = post, register
        self._key, self._contact, self._hosts = key, contact, hosts

    async def send(self, message: Message, address: str, *, handle: str, now: int) -> Sent:
        del handle
        device = self._register.find(address)
        if device is None:
            return Sent(state="never", why="the device is not told any more")
        if not is_endpoint(device.endpoint, self._hosts):
            return Sent(state="never", why="the device is at no push service that is listed any more")
        body = encrypted(payload_of(message), key=device.key, secret=device.secret)
        try:
            answer = await self._post.post(device.endpoint, self._headers(message, device, now), body)
        except Unavailable as error:
            return Sent(state="later", why=error.message.replace("a receiver of events", "the push service"))
        if 200 <= answer.status < 300:
            return Sent(state="taken", handle=device.id)
        if answer.status in _GONE:
            self._register.remove(device.id)
            return Sent(state="never", why="the device has ended its subscription")
        return Sent(
            state="never" if answer.status == 413 else "later",
            why=f"the push service answered with status {answer.status}",
            wait_seconds=answer.retry_after,
        )

    def _headers(self, message: Message, device: PushDevice, now: int) -> dict[str, str]:
        parts = urlsplit(device.endpoint)
        token = signed_statement(
            {
                "aud": f"{parts.scheme}://{parts.netloc}",
                "exp": now // 1000 + TOKEN_SECONDS,
                "sub": f"mailto:{self._contact}",
            },
            typ="JWT",
            key=self._key,
        )
        # While a message waits at the service, a later one on the same topic replaces it (RFC 8030, section 5.4).
        topic = to_base64url(sha256(message.thread.encode()).digest()[:24])
        left = (message.until - now) // 1000 if message.until else TTL_SECONDS_MAX
        return {
            "authorization": f"vapid t={token}, k={vapid_key(self._key)}",
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(max(0, min(left, TTL_SECONDS_MAX))),
            "topic": topic,
            "urgency": "high" if message.urgent else "normal",
        }


def vapid_key(key: SigningKey) -> str:
    """Return the public key in the form for browsers and push services (RFC 8292, section 3.2): a point, uncompressed,
    base64url.

    Raises Malformed (`push.key`) for a key on another curve.
    """
    members = parse(key.public.jwk.encode())
    if not isinstance(members, dict) or members.get("crv") != "P-256":
        raise PUSH_KEY()
    x, y = (from_base64url_32(str(members[name])) or b"" for name in ("x", "y"))
    return to_base64url(b"\x04" + x + y)


def payload_of(message: Message) -> bytes:
    """Return what the device displays, as JSON padded with spaces to PAYLOAD_BYTES. id: of the approval; empty for the
    inbox."""
    lines = [message.sentence]
    if message.until:
        lines.append(f"until {datetime.fromtimestamp(message.until / 1000, UTC):%H:%M} UTC")
    about_one = message.kind in ("asked", "ended", "result")
    body = _cut(" · ".join((*lines[1:], lines[0])), BODY_CHARS_MAX)
    text = encode(
        {
            "body": body,
            "id": message.thread if about_one else "",
            "tag": message.thread,
            "title": _cut(message.title, TITLE_CHARS_MAX),
        }
    )
    return text.ljust(PAYLOAD_BYTES)


def _cut(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"
