"""An upstream's definition of one target, as far as the action walk needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.canonical import JSONValue


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDefinition:
    """A definition. text: the upstream's definition, canonical JSON. digest: SHA-256 of it, hex.

    violations: returns why arguments do not fit, empty if they do; compiled once. Closed: members that the schema does
    not name are violations unless the capability opens them.
    """

    text: bytes
    digest: str
    violations: Callable[[dict[str, JSONValue]], tuple[str, ...]]
