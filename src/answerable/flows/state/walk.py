"""The ports and limits that the walk of an action needs, put together by wiring."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import msgspec
from anyio import Lock

from answerable.core.action.quota import RefusalQuota
from answerable.core.containment.hold import HoldTarget
from answerable.core.decision.history import History
from answerable.core.identity.proof.door_refusals import DoorRefusals
from answerable.core.ledger.budget_counts import BudgetCounts
from answerable.core.ledger.runs import Runs
from answerable.core.mandate.token_life import ActingLimits
from answerable.core.registry.snapshot.discovered_asset import DiscoveredAssets
from answerable.flows.state.canary_desk import AttentionCheckState
from answerable.flows.state.delegations import Delegations
from answerable.flows.state.drill_desk import DrillState
from answerable.flows.state.duty_desk import OnCallState
from answerable.flows.state.figures_desk import StatisticsState
from answerable.flows.state.policy_desk import PolicyState
from answerable.flows.state.stop_rules import Bell, StopRules
from answerable.flows.state.triggered_holds import TriggeredHolds
from answerable.flows.state.typed_tries import TypedTries
from answerable.flows.state.view_receipts import ViewReceipts
from answerable.flows.state.waiting_groups import WaitingGroups
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.state.worlds import KnownWorlds, Plans

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Callable

    from anyio import Event

    from answerable.core.action.outcome import Outcome
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.containment.hold import Hold, HoldId
    from answerable.core.containment.reach import Judged
    from answerable.core.decision.obligation import Kept
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.core.ledger.disclosure import Sealing
    from answerable.core.ledger.entry import Receipt
    from answerable.core.ledger.leaves import Reference
    from answerable.core.ledger.records_keys import NamedKeys
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.budget import Reserved
    from answerable.core.mandate.mandate import MandateId
    from answerable.core.mandate.revocation import RevocationTarget
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.manifests.manifest_drift import ObservedTools
    from answerable.core.registry.manifests.manifest_token import SignedManifest
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.core.registry.tools.tool_pin import ToolPin
    from answerable.errors import Refused
    from answerable.flows.state.click_desk import ChatAnswerState
    from answerable.flows.state.lease_side import LeaseSide
    from answerable.flows.state.passkey_desk import PasskeyState
    from answerable.flows.state.reach_desk import NotificationState
    from answerable.flows.state.streams import Stream
    from answerable.flows.state.verify_person import PersonVerifier
    from answerable.ports.approval_channel import ApprovalChannel
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.challenge_register import OpeningRegister
    from answerable.ports.citation_register import CitationRegister
    from answerable.ports.clock import Clock
    from answerable.ports.decision_point import DecisionPoint, PolicyCompiler
    from answerable.ports.entropy import Entropy
    from answerable.ports.history_register import HistoryRegister
    from answerable.ports.hold_register import HoldRegister
    from answerable.ports.ledger import Ledger, Submitted
    from answerable.ports.mandate_register import MandateRegister
    from answerable.ports.manifest_register import ManifestRegister
    from answerable.ports.prepared_register import PreparedRegister
    from answerable.ports.register_room import RegisterRoom
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.revocation_register import RevocationRegister
    from answerable.ports.shard_link import ShardLink
    from answerable.ports.subject_keys import SubjectKeys
    from answerable.ports.token_register import TokenRegister
    from answerable.ports.tool_pins import ToolPinRegister
    from answerable.ports.trust_source import TrustSource
    from answerable.ports.upstream import Upstream
    from answerable.ports.worlds import Epochs, Worlds


class OpenIntent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An intent whose end is not on disk yet. due_at: Unix milliseconds from which settling may end it.

    mandate, sealing: of an intent of this process, whose end is in the same run and under the same key; else unknown.
    known: how it ended, when that could not be written down at the time. reserved: what its outcome may give back of.
    names, reach: what it may be revoked or held under; empty for an intent of an earlier process, whose leaf says as
    much.
    verified: what it is about; None for an intent of an earlier process, which says it itself. log: how an obligation
    wants its answer kept.
    """

    action_id: str
    receipt: Receipt
    due_at: UnixMillis
    reserved: Reserved
    mandate: str = ""
    sealing: Sealing | None = None
    names: tuple[RevocationTarget, ...] = ()
    reach: tuple[HoldTarget, ...] = ()
    known: Outcome | None = None
    verified: VerifiedRequest | None = None
    log: Kept = ""


class IntentWitness(Protocol):
    """Waits until others have seen what the log holds. Raises Unavailable and Broken as the ledger does."""

    async def covers(self, index: int, *, seconds_max: float) -> bool:
        """Whether the entry is in a checkpoint that a quorum of witnesses has cosigned, by then at the latest."""
        ...


@dataclass(slots=True, kw_only=True)
class InProgress:
    """What this process is in the middle of, so that two who come together do not both write it down.

    asking: deferrals on their way into the ledger, by agent, mandate and action digest, with what is set when one is
    there. voiding: approvals, likewise. answering: approvals. groups: of what waits. looks: of people at it, that are
    kept. typed: wrong names of it. issuing: mandates. applying: documents. lifting: holds.
    """

    asking: dict[tuple[AgentId, MandateId, bytes], Event] = field(default_factory=dict)
    answering: set[str] = field(default_factory=set)
    voiding: dict[str, Event] = field(default_factory=dict)
    groups: WaitingGroups = field(default_factory=WaitingGroups)
    looks: ViewReceipts = field(default_factory=ViewReceipts)
    typed: TypedTries = field(default_factory=TypedTries)
    issuing: set[str] = field(default_factory=set)
    applying: Lock = field(default_factory=Lock)
    lifting: set[str] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class ToolsSeen:
    """What was measured of tools, good for one registry, one policy set and one state of the upstreams.

    by_agent: with the manifest that it was held against.
    """

    snapshot: RegistrySnapshot | None = None
    decision_point: DecisionPoint | None = None
    generation: int = -1
    by_agent: dict[AgentId, tuple[SignedManifest, ObservedTools]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFit:
    """capability, definition: what was held against each other. kind_fault, type_fault: what is wrong, if anything.
    raised: the capability at the tier that the definition says at least."""

    capability: Capability
    definition: str
    kind_fault: str
    type_fault: str
    raised: Capability


@dataclass(slots=True, kw_only=True)
class ToolsPinned:
    """What was found out of pinned tools. revoked: whether who approved each was revoked, in one epoch, and which holds
    stand on them. fits: how a capability fits the definition of its tool."""

    epoch: int = -1
    revoked: dict[tuple[str, str], tuple[ToolPin, bool, tuple[Hold, ...]]] = field(default_factory=dict)
    fits: dict[str, ToolFit] = field(default_factory=dict)


@dataclass(slots=True, weakref_slot=True, kw_only=True)
class Walk:
    """decision_point is swapped whole when a policy set is published; everything else stays.

    open_intents: by ledger index; whoever ends one takes it off before the end is written. calls: the tasks in which
    upstreams are asked, by the same; cut: those of them that a hold ended. streams: of events to callers.
    opened: rings for each call and each stream, for whoever cuts what is held. registered: ring when other documents
    are in force, each for one who follows them.
    cited: statements that stand in the log, by kind and name, as far as they are in mind. citations: where all of them
    stand; None where nothing is kept. cited_unkept: those that are not kept there yet.
    history: what the trackers of the policy sets in force counted. history_register: where it is kept; None where it is
    not.
    consents_on_the_way: those that may not be durable yet. pseudonyms: of people, by name. keys_named: where it says
    which keys they sign with, the same.
    people: judges ID tokens; None where no issuer's people are believed. passkeys: None where nobody can sign in.
    reach: who is told on which channel; None where nobody ever is, as in a bench. clicks: for answers by a click in a
    chat; None where none counts.
    unwitnessed: why no action is taken while witnesses do not cosign, if that is so. witness: for actions that others
    must have seen before they are done; None where no witness is set up for this log. room: whether registers can be
    written; None where they are in memory.
    stands: whether the instance behind a caller may still act at a time; asked again right before the effect. trust:
    the bundles that it depends on; None where no trust domain is kept.
    epochs: of the registers. worlds: all authority in force here, under one epoch, which is asked right before the
    effect. plans: what verifying found out under it of callers, tasks and capabilities.
    tokens: those that were issued here; None where none are. acting: how long each of them acts.
    sightings: what was seen and is not registered, since it was last written down.
    door_refusals: who was refused before there was an action.
    delegations: chains of hops that callers name.
    tools_seen: what the gateway measured of the tools of agents, as long as nothing is another.
    policies: who publishes policy sets, and what is kept of them. figures: what is counted of all this. drills: what
    they need. canaries: questions that are tests.
    pins: the definitions of tools that are let through. tools_pinned: what was found out of them.
    leases: the way to the broker; None where there is none. prepared: what waits to be executed; None where nothing is
    kept, and then nothing that was prepared is executed.
    link: the way to the processes of other shards, where there are any. owners: the logs that mandates are of, where
    another one than ours. admitted: who was counted among those that another one handed a mandate on to, for good.
    sessions: what the logins allow that mandates were given by. The terms of none of these ever change.
    cuts: how much this process cut for a hold, where it placed it or cut anything. scans: of `scan_stop`, what was
    read of stops that somebody watches.
    duties: who is told of what waits, and who stands in for whom.
    stop_rules: what they counted, and what they tripped that is not written down yet. tripped: `holds` itself, which it
    is put around, with what rules have tripped in it.
    holds: opened beside revocations. judged: under which names callers act and what of it was revoked or is held, as
    long as `judged_in` is what there is: the epoch of both, how many manifests came into force, and the registry.
    """

    clock: Clock
    entropy: Entropy
    ledger: Ledger
    registry: RegistryStore
    mandates: MandateRegister
    approvals: ApprovalRegister
    openings: OpeningRegister
    channel: ApprovalChannel
    upstream: Upstream
    decision_point: DecisionPoint
    compile_policies: PolicyCompiler
    subject_keys: SubjectKeys
    manifests: ManifestRegister
    pins: ToolPinRegister
    people: PersonVerifier | None = None
    passkeys: PasskeyState | None = None
    reach: NotificationState | None = None
    clicks: ChatAnswerState | None = None
    revocations: RevocationRegister
    holds: HoldRegister
    epochs: Epochs
    tokens: TokenRegister | None = None
    unwitnessed: Callable[[], Refused | None] = lambda: None
    room: RegisterRoom | None = None
    witness: IntentWitness | None = None
    stands: Callable[[CallerIdentity, UnixMillis], bool] = lambda _identity, _now: True
    trust: TrustSource | None = None
    limits: WalkLimits = field(default_factory=WalkLimits)
    acting: ActingLimits = field(default_factory=ActingLimits)
    quota: RefusalQuota = field(init=False)
    runs: Runs = field(init=False)
    delegations: Delegations = field(default_factory=Delegations)
    budget_counts: BudgetCounts = field(default_factory=BudgetCounts)
    cited: dict[tuple[str, str], Reference] = field(default_factory=dict)
    citations: CitationRegister | None = None
    history: History = field(default_factory=History)
    history_register: HistoryRegister | None = None
    cited_unkept: dict[tuple[str, str], Reference] = field(default_factory=dict)
    consents_on_the_way: dict[tuple[str, str], Submitted] = field(default_factory=dict)
    pseudonyms: dict[str, str] = field(default_factory=dict)
    keys_named: dict[str, NamedKeys] = field(default_factory=dict)
    open_intents: dict[int, OpenIntent] = field(default_factory=dict)
    calls: dict[int, Task[object]] = field(default_factory=dict)
    cut: dict[int, Hold] = field(default_factory=dict)
    streams: set[Stream] = field(default_factory=set)
    opened: Bell = field(default_factory=Bell)
    registered: list[Bell] = field(default_factory=list)
    cuts: dict[HoldId, int] = field(default_factory=dict)
    scans: dict[HoldId, object] = field(default_factory=dict)
    sightings: DiscoveredAssets = field(default_factory=DiscoveredAssets)
    door_refusals: DoorRefusals = field(default_factory=DoorRefusals)
    under_way: InProgress = field(default_factory=InProgress)
    tools_seen: ToolsSeen = field(default_factory=ToolsSeen)
    policies: PolicyState = field(default_factory=PolicyState)
    figures: StatisticsState = field(default_factory=StatisticsState)
    drills: DrillState[Walk] = field(default_factory=DrillState)
    canaries: AttentionCheckState = field(default_factory=AttentionCheckState)
    tools_pinned: ToolsPinned = field(default_factory=ToolsPinned)
    link: ShardLink | None = None
    leases: LeaseSide | None = None
    prepared: PreparedRegister | None = None
    owners: dict[MandateId, str] = field(default_factory=dict)
    sessions: dict[MandateId, tuple[Authority, ...]] = field(default_factory=dict)
    admitted: set[tuple[MandateId, str, str]] = field(default_factory=set)
    stop_rules: StopRules = field(default_factory=StopRules)
    duties: OnCallState = field(default_factory=OnCallState)
    tripped: TriggeredHolds = field(init=False)
    worlds: Worlds = field(init=False)
    plans: Plans = field(init=False)
    judged: dict[tuple[str, ...], Judged] = field(default_factory=dict)
    judged_in: tuple[int, int, RegistrySnapshot] | None = None
    standing_of: RegistrySnapshot | None = None
    standing: dict[MandateId, tuple[Refused | None, Refused | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.runs = Runs(self.entropy.bytes)
        self.plans = Plans()
        worlds = self.worlds = KnownWorlds(self.epochs, self)
        self.holds = self.tripped = TriggeredHolds(self.holds, changed=worlds.change_of)
        self.quota = RefusalQuota(
            recorded_max=self.limits.refusals_recorded_max,
            window_ms=self.limits.refusals_window_ms,
            changed=lambda agent: worlds.change_of(HoldTarget("agent", agent)),
        )
