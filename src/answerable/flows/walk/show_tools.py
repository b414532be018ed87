"""Report each tool's state: the definition its server offers now, beside the definition that is let through. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from answerable.core.registry.tools.tool_approval import capabilities_of
from answerable.core.registry.tools.tool_change import tool_changes
from answerable.core.registry.tools.tool_hints import told_weight
from answerable.core.registry.tools.tool_pin import TOOLS_CALL, read_definition
from answerable.errors import Malformed, shown
from answerable.errors.codes.registry import SERVER_UNKNOWN, TOOL_UNKNOWN
from answerable.flows.walk.pin_tools import offered_text, pin_fault, pinning_now, tier_in_force

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.tools.tool_change import ToolChange
    from answerable.core.registry.tools.tool_pin import ToolPin, ToolStanding
    from answerable.flows.state.parts import AuthorityRegisters
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.flows.state.worlds import Verification
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.upstream import Upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolState:
    """The state of one tool.

    `capability`: name of the capability for the tool; empty if none. `offered`, `pinned`: digests; empty if none.
    `source`: what put the pinned definition into force. `pin`: from the register, if it counts. `text`: the definition
    offered now. `blocked`: why the definition cannot be used now. `tier`: the highest tier at which its actions are
    decided; None without a capability. `unhinted_accepted`: whether a capability accepts missing hints.
    """

    server: str
    tool: str
    capability: str
    standing: ToolStanding
    offered: str
    pinned: str
    source: Literal["document", "owner", "first_sight", ""]
    blocked: str
    pin: ToolPin | None
    text: bytes | None
    tier: int | None
    unhinted_accepted: bool


def tool_states(
    authority: AuthorityRegisters, verification: Verification, limits: WalkLimits, server: str
) -> list[ToolState]:
    """Return every tool that a server offers, a capability names or a pin is for, sorted by name.

    Raises Refused (`server.unknown`).
    """
    if server not in authority.registry.current.servers:
        raise SERVER_UNKNOWN(f"there is no active server {shown(server)}")
    current = authority.registry.current
    names = set(verification.upstream.tools(server) or ())
    for capability in (*current.capabilities.values(), *current.idle.values()):
        if capability.server == server and capability.method == TOOLS_CALL:
            names.add(capability.target)
    names |= {pin.tool for pin in verification.pins.all() if pin.server == server}
    return [_state(authority, verification, limits, server, name) for name in sorted(names)]


def tool_state(
    authority: AuthorityRegisters, verification: Verification, limits: WalkLimits, server: str, tool: str
) -> ToolState:
    """Return the state of one tool. Raises Refused (`server.unknown`, `tool.unknown`)."""
    for state in tool_states(authority, verification, limits, server):
        if state.tool == tool:
            return state
    raise TOOL_UNKNOWN(
        f"server {shown(server)} has no tool {shown(tool)}: see `answerable tool list {server}`"
    )


def changes_of(registry: RegistryStore, upstream: Upstream, state: ToolState) -> tuple[ToolChange, ...]:
    """Compare the offered definition with the one in force, whose text may be unknown if a document names it."""
    new = _read(state.text)
    if new is None or state.offered == state.pinned:
        return ()
    old = _read(state.pin.text) if state.pin is not None else None
    return tool_changes(
        old,
        new,
        server=state.server,
        neighbours=neighbours(registry, upstream),
        unhinted_accepted=state.unhinted_accepted,
    )


def weight_of(registry: RegistryStore, state: ToolState) -> tuple[tuple[str, bool], ...]:
    """Return the meaning of a tool's hints as offered now: sentences, each with whether it needs attention."""
    tool = _read(state.text)
    found = capabilities_of(registry.current, state.server, state.tool)
    return tuple(told for capability in found for told in told_weight(capability, tool))


def neighbours(registry: RegistryStore, upstream: Upstream) -> Iterator[tuple[str, str]]:
    """Yield server and name of every tool that a registered server offers."""
    for server in registry.current.servers:
        for name in upstream.tools(server) or ():
            yield server, name


def _state(
    authority: AuthorityRegisters, verification: Verification, limits: WalkLimits, server: str, tool: str
) -> ToolState:
    found = [*capabilities_of(authority.registry.current, server, tool)]
    declared = next((one.definition for one in found if one.definition), "")
    pin = None if declared else verification.pins.current(server, tool)
    pinned = declared or (pin.definition if pin is not None else "")
    text = offered_text(authority.registry, verification.upstream, server, tool)
    offered = sha256(text).hexdigest() if text is not None else ""
    blocked = ""
    for capability in found:
        definition = verification.upstream.definition(capability)
        pinning = pinning_now(limits, authority.clock)
        fault = (
            pin_fault(
                authority,
                verification.pins,
                verification.fits,
                capability,
                definition,
                pinning,
            )
            if definition is not None
            else None
        )
        blocked = blocked or (fault.message if fault is not None else "")
    return ToolState(
        server=server,
        tool=tool,
        capability=found[0].name if found else "",
        standing=_standing(is_registered=bool(found), offered=offered, pinned=pinned),
        offered=offered,
        pinned=pinned,
        source="document" if declared else pin.source if pin is not None else "",
        blocked=blocked,
        pin=pin,
        text=text,
        tier=max((tier_in_force(verification, capability) for capability in found), default=None),
        unhinted_accepted=any(capability.unhinted_accepted for capability in found),
    )


def _standing(*, is_registered: bool, offered: str, pinned: str) -> ToolStanding:
    if not offered:
        return "away"
    if not is_registered:
        return "unregistered"
    if not pinned:
        return "new"
    return "pinned" if offered == pinned else "changed"


def _read(text: bytes | None) -> JSONValue:
    try:
        return read_definition(text) if text is not None else None
    except Malformed:
        return None
