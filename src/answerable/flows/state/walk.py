"""Everything the walk of an action uses: its parts, put together by wiring."""

from __future__ import annotations

from copy import copy
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING

from answerable.core.action.quota import RefusalQuota
from answerable.core.containment.hold import HoldTarget
from answerable.flows.state.drill_desk import DrillState
from answerable.flows.state.parts import Counters, LiveAccess
from answerable.flows.state.triggered_holds import TriggeredHolds
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.state.worlds import KnownWorlds, Plans

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.flows.state.worlds import Verification
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.ports.intent_log import IntentLog


@dataclass(slots=True, weakref_slot=True, kw_only=True)
class Walk:
    """The parts of one process. Each walk has its own: those it is made with are copied.

    `policies`: policy sets in force and their publishing. `drills`: what drills need. `log_intents`: makes the intent
    log of this walk.
    """

    clock: Clock
    entropy: Entropy
    recorder: Recorder
    authority: AuthorityRegisters
    asking: AskingState
    verification: Verification
    policies: PolicyState
    log_intents: InitVar[Callable[[Walk], IntentLog]]
    live: LiveAccess = field(default_factory=LiveAccess)
    counters: Counters = field(default_factory=Counters)
    drills: DrillState[Walk] = field(default_factory=DrillState)
    limits: WalkLimits = field(default_factory=WalkLimits)

    def __post_init__(self, log_intents: Callable[[Walk], IntentLog]) -> None:
        self.recorder, self.authority, self.asking = (
            copy(self.recorder),
            copy(self.authority),
            copy(self.asking),
        )
        self.verification, self.policies = copy(self.verification), copy(self.policies)
        self.live, self.counters = copy(self.live), copy(self.counters)
        self.recorder.clock = self.authority.clock = self.clock
        self.recorder.entropy, self.asking.limits = self.entropy, self.limits
        self.recorder.intents = log_intents(self)
        self.verification.plans = Plans()
        worlds = self.verification.worlds = KnownWorlds(self.verification.epochs, self)
        holds = TriggeredHolds(self.authority.holds, changed=worlds.change_of)
        self.authority.holds = self.authority.tripped = holds
        self.counters.quota = RefusalQuota(
            recorded_max=self.limits.refusals_recorded_max,
            window_ms=self.limits.refusals_window_ms,
            changed=lambda agent: worlds.change_of(HoldTarget("agent", agent)),
        )
