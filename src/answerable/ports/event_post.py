"""Port: POST one message to a receiver of events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

ANSWER_BYTES_MAX = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """The receiver's answer. body: its beginning, at most ANSWER_BYTES_MAX. retry_after: seconds that the receiver asks
    to wait before the next attempt (RFC 9110, section 10.2.3); 0 where it does not say."""

    status: int
    body: bytes
    retry_after: int = 0


class EventPost(Protocol):
    """Promises: one POST to exactly this address: no redirects, no proxies from the environment, no cookies; over TLS
    with a valid certificate, or on loopback; an answer within a bounded time, of which at most ANSWER_BYTES_MAX is
    read.

    Raises only Unavailable (`event_post.unreachable`): the receiver may have the message nevertheless.
    """

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Posted:
        """Send the message and wait for the answer."""
        ...
