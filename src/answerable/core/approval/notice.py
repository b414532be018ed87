"""What people of a group are told of an action that policy allowed on this condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from answerable.core.identity.principal import AgentId, UnixMillis
    from answerable.core.mandate.mandate import MandateId


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """intent: index of the entry that says all about it, which is durable. It names no argument and no result."""

    group: str
    agent: AgentId
    mandate: MandateId
    capability: str
    action_id: str
    intent: int
    at: UnixMillis
