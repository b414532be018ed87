"""Whether a request is Slack's own, and whether it came before.

Source: Slack's "Verifying requests from Slack", version `v0`: HMAC-SHA256 with the app's signing secret over `v0:`, the
time field, `:` and the body as it came, at most five minutes old.
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
"""Requests of one window that are remembered; past it none is taken, as one that came before could not be told."""
_TIME: Final = re.compile(r"[1-9][0-9]{8,11}")
_MAC: Final = re.compile(r"v0=[0-9a-f]{64}")


def signed_at(secret: bytes, headers: Headers, body: bytes, now: UnixMillis) -> int:
    """When Slack signed it, Unix seconds. secret: of the app. body: as it came.

    Raises Unverified (`chat.unsigned`, `chat.signature`, `chat.stale`), all with one text for whoever sent it.
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
    """Digests of requests that were taken, for as long as their time field lets them in."""

    _seen: OrderedDict[bytes, int] = field(default_factory=OrderedDict)

    def refuse_seen(self, digest: bytes, now: UnixMillis) -> None:
        """Whether one may be taken in. Raises Refused (`chat.replayed`, `chat.too_many`)."""
        seconds = now // 1000
        # A time field may be as far ahead as behind; what came by a clock that was further ahead is stale now.
        while self._seen and abs(next(iter(self._seen.values())) - seconds) > 2 * WINDOW_SECONDS:
            self._seen.popitem(last=False)
        if digest in self._seen:
            raise CHAT_REPLAYED()
        if len(self._seen) >= SEEN_MAX:
            raise CHAT_TOO_MANY()

    def keep(self, digest: bytes, now: UnixMillis) -> None:
        """It was taken in, and is not again."""
        self._seen[digest] = now // 1000
