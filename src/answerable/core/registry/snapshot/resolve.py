r"""Resolve what a caller names (server, method, target) to the one capability for it.

Laws: exact names first; a URI template variable takes one non-empty segment and never `..`, `.`, `%`, `/` or `\`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.errors import shown
from answerable.errors.codes.registry import CAPABILITY_TARGET_CLAIMED_TWICE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from answerable.core.registry.documents.capability import Capability

_VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SEGMENT = r"[A-Za-z0-9_~@:+=,-][A-Za-z0-9._~@:+=,-]*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A resolved target. variables: values that the URI template took from the target, as text."""

    capability: Capability
    variables: tuple[tuple[str, str], ...] = ()


class CapabilityIndex:
    """A look-up built once per registry snapshot; one dict access for exact targets.

    Raises Malformed (`capability.target_claimed_twice`) if two capabilities claim the same target.
    """

    __slots__ = ("_exact", "_executes", "_templates")

    def __init__(self, capabilities: Iterable[Capability]) -> None:
        self._exact: dict[tuple[str, str, str], Resolved] = {}
        self._templates: dict[tuple[str, str], list[tuple[re.Pattern[str], Capability]]] = {}
        self._executes: dict[str, list[Capability]] = {}
        for capability in capabilities:
            if capability.executes is not None:
                self._executes.setdefault(capability.executes.prepared_by, []).append(capability)
            if "{" in capability.target:
                key = (capability.server, capability.method)
                self._templates.setdefault(key, []).append((template_pattern(capability.target), capability))
                continue
            claimed = (capability.server, capability.method, capability.target)
            if claimed in self._exact:
                raise CAPABILITY_TARGET_CLAIMED_TWICE(
                    f"capabilities {shown(self._exact[claimed].capability.name)} and {shown(capability.name)} "
                    f"claim the same target {shown(capability.target)}"
                )
            self._exact[claimed] = Resolved(capability=capability)

    def resolve(self, server: str, method: str, target: str) -> Resolved | None:
        """Return the capability for this target, or None. A target that two templates match is ambiguous and gives
        None."""
        found = self._exact.get((server, method, target))
        if found is not None:
            return found
        matches = [
            Resolved(capability=capability, variables=tuple(match.groupdict().items()))
            for pattern, capability in self._templates.get((server, method), ())
            if (match := pattern.fullmatch(target))
        ]
        return matches[0] if len(matches) == 1 else None

    def executing(self, prepares: str) -> Sequence[Capability]:
        """Return the capabilities that execute what this capability prepares; empty if it prepares nothing."""
        return self._executes.get(prepares, ())


def template_pattern(template: str) -> re.Pattern[str]:
    """Compile a level-1 URI template (RFC 6570) whose variables take one safe segment each."""
    parts = _VARIABLE.split(template)
    pieces = [re.escape(part) if i % 2 == 0 else f"(?P<{part}>{_SEGMENT})" for i, part in enumerate(parts)]
    return re.compile("".join(pieces))
