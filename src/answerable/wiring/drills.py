"""Build from settings the state of drills and the isolated environment in which they run."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import partial
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
from answerable.flows.state.worlds import Plans
from answerable.wiring.containment_settings import REQUIRED
from answerable.wiring.walk import Walk

if TYPE_CHECKING:
    from answerable.adapters.sqlite import SqliteStore
    from answerable.core.containment.shadow import Shadow
    from answerable.flows.state.drill_desk import Tool
    from answerable.flows.state.parts import LiveAccess, Recorder
    from answerable.flows.state.steps import Deciding, Planning
    from answerable.wiring.setting_tree import Settings


def drill_desk(settings: Settings, store: SqliteStore) -> DrillState:
    """Return where drills are stored, and whether raising a tier requires them."""
    return DrillState(required=settings.containment.drills == REQUIRED, register=SqliteDrillRegister(store))


def give_ground(walk: Walk) -> None:
    """Let drills run on the parts of this process."""
    walk.drills.ground = partial(drill_ground, walk.recorder, walk.planning, walk.deciding, walk.live)


def drill_ground(
    recorder: Recorder, planning: Planning, deciding: Deciding, live: LiveAccess, shadow: Shadow, tool: Tool
) -> tuple[Recorder, Planning, Deciding, LiveAccess]:
    """Build the parts of a drill, as DrillGround says. Counts and histories of the product's own agents are not
    touched."""
    registry, clock = MemoryRegistryStore(), recorder.clock
    registry.put(shadow.documents)
    upstream = MemoryUpstream(clock=clock, tools={TOOL: tool})
    pins = MemoryToolPinRegister()
    capability = registry.current.capabilities.get(shadow.name)
    definition = upstream.definition(capability) if capability is not None else None
    if definition is not None:
        pin = ToolPin(
            server=shadow.name,
            tool=TOOL,
            definition=definition.digest,
            text=definition.text,
            at=clock.now(),
        )
        pins.put(pin, over="")
    walk = Walk(
        clock=clock,
        entropy=recorder.entropy,
        limits=deciding.asking.limits,
        # One intent log for one ledger: it counts all entries in their order.
        intents=recorder.intents,
        recorder=copy(recorder),
        authority=replace(
            planning.authority, registry=registry, judged={}, judged_in=None, standing={}, standing_of=None
        ),
        asking=replace(
            deciding.asking,
            channel=MemoryApprovalChannel(),
            figures=StatisticsState(),
            under_way=InProgress(),
        ),
        live=replace(live, link=None),
        counters=replace(deciding.counters, history=History(), history_register=None),
        verification=replace(
            planning.verification,
            upstream=upstream,
            pins=pins,
            delegations=Delegations(),
            tools_seen=ToolsSeen(),
            fits=ToolFits(),
            plans=Plans(),
        ),
        policies=PolicyState(
            decision_point=deciding.policies.compile_policies(
                policy_text(registry.current), registry.current
            ),
            compile_policies=deciding.policies.compile_policies,
        ),
    )
    return walk.recorder, walk.planning, walk.deciding, walk.live
