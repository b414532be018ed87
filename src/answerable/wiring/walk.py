"""The parts of one process, put together for the walk of an action and everything around it."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING

from answerable.core.action.quota import RefusalQuota
from answerable.core.containment.hold import HoldTarget
from answerable.core.incident.incident_duties import IncidentRules
from answerable.flows.recording.intent_log import EmbeddedIntentLog
from answerable.flows.state.drill_desk import Applying, DrillState
from answerable.flows.state.parts import Counters, LiveAccess
from answerable.flows.state.steps import Deciding, Planning
from answerable.flows.state.triggered_holds import TriggeredHolds
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.walk.known_worlds import KnownWorlds, scope_of

if TYPE_CHECKING:
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.flows.state.worlds import Verification
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.ports.intent_log import IntentLog


@dataclass(slots=True, kw_only=True)
class Walk:
    """The parts of one process, and what steps of flows use together, made of them. No flow is given a walk.

    `policies`: policy sets in force and their publishing. `drills`: what drills need.
    `incidents`: who may write about incidents, and what is to be told of them. `intents`: the intent log, where
    another walk of this process has made it for the same ledger.
    """

    clock: Clock
    entropy: Entropy
    recorder: Recorder
    authority: AuthorityRegisters
    asking: AskingState
    verification: Verification
    policies: PolicyState
    live: LiveAccess = field(default_factory=LiveAccess)
    counters: Counters = field(default_factory=Counters)
    drills: DrillState = field(default_factory=DrillState)
    incidents: IncidentRules = field(default_factory=IncidentRules)
    limits: WalkLimits = field(default_factory=WalkLimits)
    intents: InitVar[IntentLog | None] = None
    planning: Planning = field(init=False)
    deciding: Deciding = field(init=False)
    applying: Applying = field(init=False)

    def __post_init__(self, intents: IntentLog | None) -> None:
        recorder, authority, verification = self.recorder, self.authority, self.verification
        recorder.clock = authority.clock = self.clock
        recorder.entropy, self.asking.limits = self.entropy, self.limits
        self.planning = Planning(verification=verification, authority=authority)
        self.deciding = Deciding(counters=self.counters, policies=self.policies, asking=self.asking)
        self.applying = Applying(
            policies=self.policies, drills=self.drills, counters=self.counters, live=self.live
        )
        recorder.intents = intents or EmbeddedIntentLog(recorder, authority, verification)
        verification.worlds = KnownWorlds(recorder, authority, self.deciding, verification)
        change = verification.epochs.change
        holds = TriggeredHolds(authority.holds, changed=lambda what: change(scope_of(what)))
        authority.holds = authority.tripped = holds
        self.counters.quota = RefusalQuota(
            recorded_max=self.limits.refusals_recorded_max,
            window_ms=self.limits.refusals_window_ms,
            changed=lambda agent: change(scope_of(HoldTarget("agent", agent))),
        )
