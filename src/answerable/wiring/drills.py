"""Build from settings the state of drills and the isolated environment in which they run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.adapters.memory.approval_channel import MemoryApprovalChannel
from answerable.adapters.memory.registers import MemoryRegistryStore
from answerable.adapters.memory.tool_pins import MemoryToolPinRegister
from answerable.adapters.memory.upstream import MemoryUpstream
from answerable.adapters.sqlite import SqliteDrillRegister
from answerable.core.containment.shadow import TOOL
from answerable.core.decision.history import History
from answerable.core.registry.manifests.tools_seen import ToolsSeen
from answerable.core.registry.tools.tool_fit import ToolFits
from answerable.core.registry.tools.tool_pin import ToolPin
from answerable.flows.registry.apply_registry import policy_text
from answerable.flows.state.delegations import Delegations
from answerable.flows.state.drill_desk import DrillState
from answerable.flows.state.figures_desk import StatisticsState
from answerable.flows.state.parts import InProgress
from answerable.flows.state.policy_desk import PolicyState
from answerable.wiring.containment_settings import REQUIRED

if TYPE_CHECKING:
    from answerable.adapters.sqlite import SqliteStore
    from answerable.core.containment.shadow import Shadow
    from answerable.flows.state.drill_desk import Tool
    from answerable.flows.state.walk import Walk
    from answerable.wiring.setting_tree import Settings


def drill_desk(settings: Settings, store: SqliteStore) -> DrillState[Walk]:
    """Return where drills are stored, what they run on, and whether raising a tier requires them."""
    return DrillState(
        required=settings.containment.drills == REQUIRED,
        register=SqliteDrillRegister(store),
        ground=drill_ground,
    )


def drill_ground(walk: Walk, shadow: Shadow, tool: Tool) -> Walk:
    """Build the walk of a drill, as DrillGround says. Counts and histories of the product's own agents are not
    touched."""
    registry = MemoryRegistryStore()
    registry.put(shadow.documents)
    upstream = MemoryUpstream(clock=walk.clock, tools={TOOL: tool})
    pins = MemoryToolPinRegister()
    capability = registry.current.capabilities.get(shadow.name)
    definition = upstream.definition(capability) if capability is not None else None
    if definition is not None:
        pin = ToolPin(
            server=shadow.name,
            tool=TOOL,
            definition=definition.digest,
            text=definition.text,
            at=walk.clock.now(),
        )
        pins.put(pin, over="")
    return replace(
        walk,
        # One intent log for one ledger: it counts all entries in their order.
        log_intents=lambda _: walk.recorder.intents,
        authority=replace(
            walk.authority, registry=registry, judged={}, judged_in=None, standing={}, standing_of=None
        ),
        asking=replace(
            walk.asking,
            channel=MemoryApprovalChannel(),
            figures=StatisticsState(),
            under_way=InProgress(),
        ),
        live=replace(walk.live, link=None),
        counters=replace(walk.counters, history=History(), history_register=None),
        verification=replace(
            walk.verification,
            upstream=upstream,
            pins=pins,
            delegations=Delegations(),
            tools_seen=ToolsSeen(),
            fits=ToolFits(),
        ),
        policies=PolicyState(
            decision_point=walk.policies.compile_policies(policy_text(registry.current), registry.current),
            compile_policies=walk.policies.compile_policies,
        ),
        drills=DrillState(),
    )
