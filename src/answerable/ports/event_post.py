"""Port: one message to a receiver of events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

ANSWER_BYTES_MAX = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What the receiver answered. body: its beginning, at most ANSWER_BYTES_MAX. retry_after: seconds that it asks to
    wait before another try (RFC 9110, section 10.2.3); 0 where it says nothing."""

    status: int
    body: bytes
    retry_after: int = 0


class EventPost(Protocol):
    """Promises: one POST to this very address and to nobody else: no redirect is followed, no proxy of the environment
    is used, no cookie is kept; over TLS with a certificate that counts, or on loopback; a whole answer within a bounded
    time, of which no more than ANSWER_BYTES_MAX is read.

    Raises only Unavailable (`event_post.unreachable`): the receiver may have the message nevertheless.
    """

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Posted:
        """Send it and wait for the answer."""
        ...
