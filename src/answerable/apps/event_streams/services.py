"""Declare what the event-stream endpoints need from the rest of the system, and their limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.identity.proof.door_refusal import TellRefused
    from answerable.flows.events.event_desk import EventState
    from answerable.flows.tokens.authenticate_client import Asked, TokenClient

BODY_BYTES_MAX: Final = 262_144
BODY_SECONDS_MAX: Final = 10.0


class Authenticate(Protocol):
    """As flows.authenticate_client.ClientAuthenticator.authenticate."""

    def __call__(self, asked: Asked) -> TokenClient:
        """Return the authenticated client. Raises Unverified, Malformed, Refused."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EventServices:
    """The dependencies and limits. challenge: returns, for a failed proof step, what the client needs to try again;
    empty for nothing. refused: called for every refused request."""

    desk: EventState
    authenticate: Authenticate
    challenge: Callable[[str], str]
    refused: TellRefused
    hosts: frozenset[str] = frozenset()
    body_bytes_max: int = BODY_BYTES_MAX
    body_seconds_max: float = BODY_SECONDS_MAX
