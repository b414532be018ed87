"""Evaluate a server's hints about the harm of its tools (MCP 2026-07-28, `ToolAnnotations`), and raise tiers by them.

Laws: a server's hints can raise a tier and never lower one, since they are the server's own claims; an omitted hint
counts as its worst value, as the protocol defines, unless the capability's document accepts the omission; omitting a
hint is never cheaper than giving it; a read-only hint is ignored for a capability that declares changes.

| hints                                          | tier at least |
|------------------------------------------------|---------------|
| read-only, closed world                        | 0             |
| read-only, open world                          | 1             |
| changes without destruction                    | 1; open: 2    |
| may destroy                                    | 2; open: 3    |
| none                                           | 3             |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import ActionKind, Capability

HINTS: Final = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
RISKY: Final = {
    "readOnlyHint": False,
    "destructiveHint": True,
    "idempotentHint": False,
    "openWorldHint": True,
}
"""The worse value of each hint, which is also the protocol's default."""
UNHINTED_TIER: Final = 3
"""Tier of a tool without hints: the highest."""
_RAISING: Final = frozenset({"readOnlyHint", "destructiveHint", "openWorldHint"})
"""The hints that determine a tier."""
_CAN_ONLY_READ: Final[frozenset[ActionKind]] = frozenset({"read", "egress"})
"""Kinds of actions that change nothing at their target: fetching a page sends data, but may only read there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolHints:
    """The hints of a tool. None: not given."""

    read_only: bool | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None

    def believed(self, kind: ActionKind) -> ToolHints:
        """Return the hints without those that contradict the kind of action, which count as not given."""
        contradicted = bool(self.read_only) and kind not in _CAN_ONLY_READ
        return replace(self, read_only=None) if contradicted else self

    def tier_at_least(self, *, unsaid_is_worst: bool) -> int:
        """Return the lowest tier that fits the hints. unsaid_is_worst: omitted hints count as the worst value."""
        reads = self.read_only if self.read_only is not None else not unsaid_is_worst
        open_world = self.open_world if self.open_world is not None else unsaid_is_worst
        destroys = self.destructive if self.destructive is not None else unsaid_is_worst
        if self.destructive and not self.read_only:
            # An explicit destructive hint overrides an omitted read-only hint.
            reads = False
        if reads:
            return 1 if open_world else 0
        return (2 if destroys else 1) + (1 if open_world else 0)

    def said(self) -> dict[str, bool]:
        """Return the hints that the server gives, by their own names."""
        values = (self.read_only, self.destructive, self.idempotent, self.open_world)
        return {name: value for name, value in zip(HINTS, values, strict=True) if value is not None}


def hints_of(tool: JSONValue) -> ToolHints:
    """Read the hints of a definition. A value that is not a boolean counts as not given."""
    given = tool.get("annotations") if isinstance(tool, dict) else None
    if not isinstance(given, dict):
        return ToolHints()
    values = [value if isinstance(value := given.get(name), bool) else None for name in HINTS]
    return ToolHints(read_only=values[0], destructive=values[1], idempotent=values[2], open_world=values[3])


def raised(capability: Capability, tool: JSONValue) -> Capability:
    """Return the capability at the tier that its tool's hints and omissions require, or unchanged if that is not
    higher. tool: None if no definition is known, which counts as a tool without hints."""
    hints = hints_of(tool).believed(capability.kind)
    wanted = hints.tier_at_least(unsaid_is_worst=not capability.unhinted_accepted)
    return replace(capability, tier=wanted) if wanted > capability.tier else capability


def told_weight(capability: Capability, tool: JSONValue) -> tuple[tuple[str, bool], ...]:
    """Return the effect of a tool's hints on a capability: sentences without a full stop, and whether each deserves
    special attention. tool: None if no definition is known."""
    named, hints = f"capability `{capability.name}`", hints_of(tool)
    found: list[tuple[str, bool]] = []
    believed = hints.believed(capability.kind)
    if believed != hints:
        found.append(
            (
                (
                    f"the server declares `readOnlyHint` true, but {named} is of kind {capability.kind}: the "
                    "hint is ignored"
                ),
                True,
            )
        )
    raising = _RAISING - {"destructiveHint"} if believed.read_only else _RAISING
    unsaid = [name for name in HINTS if name in raising and name not in believed.said()]
    if unsaid and capability.unhinted_accepted:
        found.append(
            (f"{named} says `unhinted: accepted`: that {', '.join(unsaid)} is not said raises nothing", True)
        )
    tier = raised(capability, tool).tier
    if tier > capability.tier:
        found.append(
            (f"its actions are decided at tier {tier}, above the {capability.tier} of {named}", False)
        )
    else:
        found.append((f"its actions are decided at tier {tier}, as {named} has it", False))
    return tuple(found)


def hint_fault(capability: Capability, tool: JSONValue) -> str:
    """Return why a capability contradicts the server's hints about its tool, or empty if it does not."""
    if capability.kind == "read" and hints_of(tool).read_only is False:
        return (
            f"the server says readOnlyHint false of it, and capability `{capability.name}` is of kind read: "
            "say there what it does"
        )
    return ""
