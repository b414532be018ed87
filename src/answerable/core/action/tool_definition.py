"""What an upstream says about one target, as far as the walk needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.canonical import JSONValue


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDefinition:
    """text: the upstream's definition, canonical JSON. digest: SHA-256 of it, hex.

    violations: why arguments do not fit, empty when they do; compiled once, closed: members the schema does not name
    are violations unless the capability opens them.
    """

    text: bytes
    digest: str
    violations: Callable[[dict[str, JSONValue]], tuple[str, ...]]
