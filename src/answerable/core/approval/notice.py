"""What people of a group are told: of an action that policy allowed on this condition, or of a broken glass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.mandate.mandate import MandateId


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """intent: index of the entry that says all about it, which is durable. It names no argument and no result. what:
    `ran` for an action, `glass` for one that somebody let run without its approval, whose id `action_id` is then."""

    group: str
    agent: AgentId
    mandate: MandateId
    capability: str
    action_id: str
    intent: int
    at: UnixMillis
    what: Literal["ran", "glass"] = "ran"
