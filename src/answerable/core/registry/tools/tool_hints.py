"""What a server says of the harm its tools can do (MCP 2026-07-28, `ToolAnnotations`), and what that is worth.

Laws: a server's word can raise a tier and never lower one, for it is the server's; what it does not say counts as the
worst that it could have said, as the protocol has it, unless the capability's document accepts that it is left out; to
say nothing is never cheaper than to say it; that a tool only reads is no word on one whose capability says what it
changes.

| says                                           | tier at least |
|------------------------------------------------|---------------|
| it only reads, a closed world                  | 0             |
| it only reads, an open world                   | 1             |
| it changes things without destroying any       | 1; open: 2    |
| it may destroy                                 | 2; open: 3    |
| nothing                                        | 3             |
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
"""The worse value of each, which is the protocol's default, too."""
UNHINTED_TIER: Final = 3
"""Of a tool without hints, which is the highest."""
_RAISING: Final = frozenset({"readOnlyHint", "destructiveHint", "openWorldHint"})
"""Those that a tier goes by."""
_CAN_ONLY_READ: Final[frozenset[ActionKind]] = frozenset({"read", "egress"})
"""Kinds of actions that change nothing where they act: fetching a page is sending, and may still only read there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolHints:
    """None: not said."""

    read_only: bool | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None

    def believed(self, kind: ActionKind) -> ToolHints:
        """Less what is no word on actions of this kind: then it is as if it were not said."""
        contradicted = bool(self.read_only) and kind not in _CAN_ONLY_READ
        return replace(self, read_only=None) if contradicted else self

    def tier_at_least(self, *, unsaid_is_worst: bool) -> int:
        """The lowest tier that fits what is said. unsaid_is_worst: nobody accepts that anything is left out."""
        reads = self.read_only if self.read_only is not None else not unsaid_is_worst
        open_world = self.open_world if self.open_world is not None else unsaid_is_worst
        destroys = self.destructive if self.destructive is not None else unsaid_is_worst
        if self.destructive and not self.read_only:
            # Said outright: it is not taken for one that only reads because it does not say that.
            reads = False
        if reads:
            return 1 if open_world else 0
        return (2 if destroys else 1) + (1 if open_world else 0)

    def said(self) -> dict[str, bool]:
        """Those that the server gives, by their own names."""
        values = (self.read_only, self.destructive, self.idempotent, self.open_world)
        return {name: value for name, value in zip(HINTS, values, strict=True) if value is not None}


def hints_of(tool: JSONValue) -> ToolHints:
    """Those of a definition. What is no boolean was not said."""
    given = tool.get("annotations") if isinstance(tool, dict) else None
    if not isinstance(given, dict):
        return ToolHints()
    values = [value if isinstance(value := given.get(name), bool) else None for name in HINTS]
    return ToolHints(read_only=values[0], destructive=values[1], idempotent=values[2], open_world=values[3])


def raised(capability: Capability, tool: JSONValue) -> Capability:
    """The capability at the tier that its tool has at least by what its server says of it and leaves out; as it is
    where that is no more. tool: None where no definition is known, which is a tool without hints."""
    hints = hints_of(tool).believed(capability.kind)
    wanted = hints.tier_at_least(unsaid_is_worst=not capability.unhinted_accepted)
    return replace(capability, tier=wanted) if wanted > capability.tier else capability


def told_weight(capability: Capability, tool: JSONValue) -> tuple[tuple[str, bool], ...]:
    """What a tool's hints, said or not, come to for a capability: sentences without a full stop, and whether each
    deserves a second look. tool: None where no definition is known."""
    named, hints = f"capability `{capability.name}`", hints_of(tool)
    found: list[tuple[str, bool]] = []
    believed = hints.believed(capability.kind)
    if believed != hints:
        found.append(
            (
                f"the server says readOnlyHint true, and {named} is of kind {capability.kind}: that is not believed",
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
    """Why a capability is not what the server itself says of its tool; empty when it can be."""
    if capability.kind == "read" and hints_of(tool).read_only is False:
        return (
            f"the server says readOnlyHint false of it, and capability `{capability.name}` is of kind read: "
            "say there what it does"
        )
    return ""
