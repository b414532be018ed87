"""Which capability shows, before an action, what the action would do, and what it is asked with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewMapping:
    """capability: a tool of the same server that only reads. arguments: what that tool takes, by name, each with where
    it lies in what the action takes, a member's name or a JSON pointer; None where it takes the very same."""

    capability: str
    arguments: tuple[tuple[str, str], ...] | None = None
