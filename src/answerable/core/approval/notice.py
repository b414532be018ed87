"""A notice to the people of a group: of an action that policy allowed on this condition, or of an emergency access."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.mandate.mandate import MandateId


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notice to the people of a group. intent: index of the durable entry with all details. The notice contains no
    argument and no result. what: `ran` for an action, `glass` for an emergency access; then `action_id` is the id of
    the approval."""

    group: str
    agent: AgentId
    mandate: MandateId
    capability: str
    action_id: str
    intent: int
    at: UnixMillis
    what: Literal["ran", "glass"] = "ran"
