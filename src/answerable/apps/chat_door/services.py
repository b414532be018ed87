"""Declare what the chat endpoint needs from the rest of the system, and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.identity.proof.door_refusal import untold

if TYPE_CHECKING:
    from answerable.core.identity.proof.door_refusal import TellRefused
    from answerable.flows.state.click_desk import ChatAnswerState
    from answerable.wiring.walk import Walk

PREFIX: Final = "/chat/v1/"
"""Prefix of every path of this endpoint: wiring sends these paths here instead of to the console."""
BODY_BYTES_MAX: Final = 65_536
BODY_SECONDS_MAX: Final = 2.0
CLICKS_PER_MINUTE_MAX: Final = 30
"""Limit for one account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatServices:
    """The endpoint's dependencies and limits.

    secret: the chat's signing secret. hosts: names that the Host field may hold, besides those of loopback. refused:
    called for every refused request.
    """

    walk: Walk
    desk: ChatAnswerState
    secret: bytes = field(repr=False)
    refused: TellRefused = untold
    hosts: frozenset[str] = frozenset()
    body_bytes_max: int = BODY_BYTES_MAX
    body_seconds_max: float = BODY_SECONDS_MAX
    clicks_per_minute_max: int = CLICKS_PER_MINUTE_MAX
