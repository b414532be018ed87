"""Which capability previews the effects of an action, and the arguments for that preview."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewMapping:
    """A preview. capability: a tool of the same server that only reads. arguments: the tool's arguments by name, each
    with its source in the action's arguments, a member's name or a JSON pointer; None to pass the action's own
    arguments."""

    capability: str
    arguments: tuple[tuple[str, str], ...] | None = None
