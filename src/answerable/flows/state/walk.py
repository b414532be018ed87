"""Everything the walk of an action uses: ports, limits and in-memory state, put together by wiring."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Protocol

import msgspec
from anyio import Lock

from answerable.core.action.quota import RefusalQuota
from answerable.core.containment.hold import HoldTarget
from answerable.core.decision.history import History
from answerable.core.identity.proof.door_refusals import DoorRefusals
from answerable.core.mandate.token_life import ActingLimits
from answerable.core.registry.manifests.tools_seen import ToolsSeen
from answerable.core.registry.snapshot.discovered_asset import DiscoveredAssets
from answerable.core.registry.tools.tool_fit import ToolFits
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
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
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
    from answerable.ports.intent_log import IntentLog
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
    """An intent without an end on disk. `due_at`: Unix milliseconds from which settlement may end it.

    `mandate`, `sealing`: of an intent of this process, whose end goes into the same run under the same key; otherwise
    unknown. `known`: the outcome, if it could not be written at the time. `reserved`: the reservation that its outcome
    may give back. `names`, `reach`: names it may be revoked or held under; empty for an intent of an earlier process,
    whose leaf has them. `verified`: the request; None for an intent of an earlier process, whose entry has it. `log`:
    how an obligation wants the answer stored.
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
    """Waits until witnesses have cosigned the log. Raises Unavailable and Broken as the ledger does."""

    async def covers(self, index: int, *, seconds_max: float) -> bool:
        """Wait until a checkpoint cosigned by a quorum covers the entry. Return False after `seconds_max`."""
        ...


@dataclass(slots=True, kw_only=True)
class InProgress:
    """Work under way in this process, so that two concurrent callers do not both write it.

    `asking`: deferrals being written, by agent, mandate and action digest, with the event set when one is written.
    `voiding`: approvals being voided, likewise. `answering`: approvals being answered. `issuing`: mandates.
    `groups`: of waiting approvals. `looks`: stored views of them. `typed`: wrong typed names.
    `applying`: lock for documents. `lifting`: holds being lifted.
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


@dataclass(slots=True, weakref_slot=True, kw_only=True)
class Walk:
    """The ports, limits and state of one process. Publishing a policy set replaces `decision_point`; every other port
    stays.

    Actions in flight:
    `intents`: commits actions and records their ends; made by `log_intents` of this walk.
    `open_intents`: by ledger index; the task that ends an intent removes it before the end is written. `unclear`:
      indexes of those that settlement ended as indeterminate while their action is under way in this process.
    `calls`: tasks of upstream calls, by the same index; `cut`: those that a hold ended. `streams`: of events to
      callers.
    `opened`: rings for each new call and stream, to wake the task that cuts what is held.
    `under_way`: what is being written. `cuts`: how much this process cut, by hold. `scans`: of `scan_stop`, by
      watched stop.
    `registered`: bells that ring when new documents are in force, one for each follower.

    Ledger:
    `cited`: statements in the log, by kind and name, as far as in memory. `citations`: register of all of them; None
      if they are not stored. `cited_unkept`: those not stored there yet.
    `consents_on_the_way`: consents that may not be durable yet. `pseudonyms`: of people, by name. `keys_named`:
      where the log names the keys they sign with, likewise.
    `unwitnessed`: why no action is taken while witnesses do not cosign. `witness`: for actions that must be cosigned
      before they run; None if this log has no witness. `room`: whether registers can be written; None if in memory.
    `history`: counts of the trackers of the policy sets in force. `history_register`: None if they are not stored.

    People:
    `people`: verifies ID tokens; None if no issuer of people is trusted. `passkeys`: None if nobody can sign in.
    `reach`: notifications; None if nobody is notified, as in a benchmark. `clicks`: answers by chat; None if not
      allowed.
    `duties`: routing of approvals and deputies. `canaries`: attention checks.

    Authority:
    `stands`: whether the instance behind a caller may act at a time; checked again right before the effect. `trust`:
      the bundles that it depends on; None without a trust domain.
    `epochs`: of the registers. `worlds`: all authority in force in this process under one epoch, compared right
      before the effect. `plans`: cached results of verification for callers, tasks and capabilities.
    `tokens`: issued by this process; None if it issues none. `acting`: how long tokens may be used for actions.
    `delegations`: chains of hops that callers present. `sessions`: what the logins behind mandates allow; immutable.
    `admitted`: receivers already counted among those that a mandate was handed on to; never undone.
    `judged`: the names callers act under, and which are revoked or held; valid while `judged_in` is current: the
      epoch of both registers, the count of manifests that came into force, and the registry.
    `holds`: `tripped` is `holds` itself, a wrapper that adds what stop rules tripped. `stop_rules`: their counts and
      trips.

    Tools and other processes:
    `pins`: definitions of tools that are let through. `fits`: how capabilities fit them; `tools_seen`: measurements of
      them; both cached.
    `leases`: the broker; None if there is none. `prepared`: objects waiting to be executed; None if not stored, and
      then no prepared object is executed.
    `link`: to the processes of other shards, if any. `owners`: the logs that own mandates, where not this one.
    `sightings`: unregistered assets seen since the last write. `door_refusals`: callers refused before there was an
      action.
    `policies`: publishing of policy sets. `figures`: statistics. `drills`: what drills need.
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
    log_intents: InitVar[Callable[[Walk], IntentLog]]
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
    intents: IntentLog = field(init=False)
    quota: RefusalQuota = field(init=False)
    delegations: Delegations = field(default_factory=Delegations)
    cited: dict[tuple[str, str], Reference] = field(default_factory=dict)
    citations: CitationRegister | None = None
    history: History = field(default_factory=History)
    history_register: HistoryRegister | None = None
    cited_unkept: dict[tuple[str, str], Reference] = field(default_factory=dict)
    consents_on_the_way: dict[tuple[str, str], Submitted] = field(default_factory=dict)
    pseudonyms: dict[str, str] = field(default_factory=dict)
    keys_named: dict[str, NamedKeys] = field(default_factory=dict)
    open_intents: dict[int, OpenIntent] = field(default_factory=dict)
    unclear: set[int] = field(default_factory=set)
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
    fits: ToolFits = field(default_factory=ToolFits)
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
    standing: dict[MandateId, Refused | None] = field(default_factory=dict)

    def __post_init__(self, log_intents: Callable[[Walk], IntentLog]) -> None:
        self.intents = log_intents(self)
        self.plans = Plans()
        worlds = self.worlds = KnownWorlds(self.epochs, self)
        self.holds = self.tripped = TriggeredHolds(self.holds, changed=worlds.change_of)
        self.quota = RefusalQuota(
            recorded_max=self.limits.refusals_recorded_max,
            window_ms=self.limits.refusals_window_ms,
            changed=lambda agent: worlds.change_of(HoldTarget("agent", agent)),
        )
