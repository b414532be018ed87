"""Verify that a request was signed by Slack and was not received before.

Source: Slack's "Verifying requests from Slack", version `v0`: HMAC-SHA256 with the app's signing secret over `v0:`, the
time field, `:` and the body as received, at most five minutes old.
"""

from __future__ import annotations

import hmac
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.errors.codes.approval import (
    CHAT_REPLAYED,
    CHAT_SIGNATURE,
    CHAT_STALE,
    CHAT_TOO_MANY,
    CHAT_UNSIGNED,
)

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from answerable.core.identity.names.principal import UnixMillis

SIGNATURE: Final = "x-slack-signature"
TIMESTAMP: Final = "x-slack-request-timestamp"
WINDOW_SECONDS: Final = 300
SEEN_MAX: Final = 20_000
"""Requests remembered within one window. Above this number every request is refused, because a replay could not be
detected."""
_TIME: Final = re.compile(r"[1-9][0-9]{8,11}")
_MAC: Final = re.compile(r"v0=[0-9a-f]{64}")


def signed_at(secret: bytes, headers: Headers, body: bytes, now: UnixMillis) -> int:
    """Return the time at which Slack signed the request, Unix seconds. secret: the app's signing secret. body: the
    bytes as received.

    Raises Unverified (`chat.unsigned`, `chat.signature`, `chat.stale`); the sender sees the same text for all three.
    """
    times, macs = headers.getlist(TIMESTAMP), headers.getlist(SIGNATURE)
    if len(times) != 1 or len(macs) != 1 or not _TIME.fullmatch(times[0]) or not _MAC.fullmatch(macs[0]):
        raise CHAT_UNSIGNED()
    wanted = hmac.new(secret, b"v0:" + times[0].encode() + b":" + body, sha256).hexdigest()
    if not hmac.compare_digest(f"v0={wanted}".encode(), macs[0].encode()):
        raise CHAT_SIGNATURE()
    at = int(times[0])
    if abs(now // 1000 - at) > WINDOW_SECONDS:
        raise CHAT_STALE()
    return at


@dataclass(slots=True)
class SeenRequests:
    """Digests of requests that were taken, stored as long as their time field would still be accepted."""

    _seen: OrderedDict[bytes, int] = field(default_factory=OrderedDict)

    def refuse_seen(self, digest: bytes, now: UnixMillis) -> None:
        """Check that a request was not taken before. Raises Refused (`chat.replayed`, `chat.too_many`)."""
        seconds = now // 1000
        # A time field may differ by one window in either direction. An entry more than two windows away was accepted
        # under a clock that was further ahead, and its request would be refused as stale now.
        while self._seen and abs(next(iter(self._seen.values())) - seconds) > 2 * WINDOW_SECONDS:
            self._seen.popitem(last=False)
        if digest in self._seen:
            raise CHAT_REPLAYED()
        if len(self._seen) >= SEEN_MAX:
            raise CHAT_TOO_MANY()

    def keep(self, digest: bytes, now: UnixMillis) -> None:
        """Remember a request that was taken."""
        self._seen[digest] = now // 1000
