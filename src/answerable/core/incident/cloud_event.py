"""Format announcements as CloudEvents 1.0 in structured JSON, signed as Standard Webhooks 1.0 specifies.

Law: the signature covers the bytes sent, the event's id and the time of this attempt, so that a replayed copy is
detected by its time, and a repeated delivery by its id.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from datetime import UTC, datetime
from hashlib import sha256
from hmac import digest
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode
from answerable.errors.codes.events import WEBHOOK_SECRET

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.incident.announcement import Announcement

MEDIA_TYPE: Final = "application/cloudevents+json"
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - as Standard Webhooks has it
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64
STREAM_TYPE: Final = "answerable.webhook.left_out"
_SPACE: Final = re.compile(rb"\s+")


def cloud_event(told: Announcement, *, source: str, identity: str) -> bytes:
    """Return the whole body of a message. source: URL of this deployment."""
    known: dict[str, JSONValue] = {
        "agent": told.agent,
        "mandate": told.mandate,
        "capability": told.capability,
        "action": told.action,
        "hold": told.hold,
        "because": told.because,
    }
    given: dict[str, JSONValue] = {name: value for name, value in known.items() if value}
    if told.until:
        given["expires_at"] = told.until
    if told.by_person is not None:
        given["by_person"] = told.by_person
    return _body(
        identity,
        source=source,
        kind=f"answerable.{'hold' if told.hold else told.kind or 'hold'}.{told.change}",
        subject=told.name or told.kind or told.hold,
        at=told.at,
        content={**given, "kind": told.kind, "name": told.name, "log": told.log, "entry": told.entry},
    )


def left_out_event(count: int, *, name: str, source: str, identity: str, at: int) -> bytes:
    """Return the event that states how many events were dropped because too many were queued: the ledger has
    them all."""
    return _body(identity, source=source, kind=STREAM_TYPE, subject=name, at=at, content={"count": count})


def webhook_secret(content: bytes) -> bytes:
    """Parse the key of a secret: `whsec_` and base64 of 24 to 64 bytes. Raises Malformed (`webhook.secret`), which
    reveals nothing of it."""
    text = _SPACE.sub(b"", content).decode("ascii", "replace")
    try:
        key = b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except NotBase64:
        key = b""
    if not text.startswith(SECRET_PREFIX) or not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise WEBHOOK_SECRET(
            f"the secret of a webhook is `{SECRET_PREFIX}` and base64 of {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} "
            "random bytes"
        )
    return key


def signed_headers(body: bytes, *, identity: str, at: int, secret: bytes) -> dict[str, str]:
    """Return the headers of one attempt. at: Unix milliseconds of this attempt."""
    seconds = str(at // 1000)
    mac = digest(secret, b"%b.%b.%b" % (identity.encode(), seconds.encode(), body), sha256)
    return {
        "content-type": MEDIA_TYPE,
        "webhook-id": identity,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{b64encode(mac).decode('ascii')}",
    }


def _body(
    identity: str, *, source: str, kind: str, subject: str, at: int, content: dict[str, JSONValue]
) -> bytes:
    moment = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
    return encode(
        {
            "specversion": "1.0",
            "id": identity,
            "source": source,
            "type": kind,
            "subject": subject,
            "time": moment.replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": content,
        }
    )
