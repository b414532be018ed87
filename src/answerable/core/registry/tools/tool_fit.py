"""Check how a capability fits the definition of its tool, once for each definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.registry.tools.tool_hints import hint_fault, raised
from answerable.core.registry.tools.tool_pin import read_definition
from answerable.core.registry.tools.tool_types import type_fault

if TYPE_CHECKING:
    from answerable.core.registry.documents.capability import Capability

REMEMBERED_MAX: Final = 10_000
"""Capabilities whose fit with a definition is cached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFit:
    """How a capability fits a tool definition. `kind_fault`, `type_fault`: what does not fit, if anything. `raised`:
    the capability at the tier that the definition requires at least."""

    capability: Capability
    definition: str
    kind_fault: str
    type_fault: str
    raised: Capability


class ToolFits:
    """Caches the last fit of each capability. When full, the cache is cleared."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[str, ToolFit] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, capability: Capability, text: bytes, digest: str) -> ToolFit:
        """Return how a definition fits a capability. text, digest: of the definition. Raises Malformed."""
        known = self._kept.get(capability.name)
        if known is None or known.capability is not capability or known.definition != digest:
            if len(self._kept) >= REMEMBERED_MAX:
                self._kept.clear()
            said = read_definition(text)
            known = self._kept[capability.name] = ToolFit(
                capability=capability,
                definition=digest,
                kind_fault=hint_fault(capability, said),
                type_fault=type_fault(capability, said),
                raised=raised(capability, said),
            )
        return known
