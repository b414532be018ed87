"""The parts of a process, each with what one room of flows uses.

Laws: each process has parts of its own. A flow is given the narrowest: a port, or a part where it uses several of its
members.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
from anyio import Lock

from answerable.core.decision.history import History
from answerable.core.identity.proof.door_refusals import DoorRefusals
from answerable.flows.state.canary_desk import AttentionCheckState
from answerable.flows.state.duty_desk import OnCallState
from answerable.flows.state.figures_desk import StatisticsState
from answerable.flows.state.stop_rules import Bell, StopRules
from answerable.flows.state.typed_tries import TypedTries
from answerable.flows.state.view_receipts import ViewReceipts
from answerable.flows.state.waiting_groups import WaitingGroups

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Callable

    from anyio import Event

    from answerable.core.action.outcome import Outcome
    from answerable.core.action.quota import RefusalQuota
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.containment.hold import Hold, HoldId, HoldTarget
    from answerable.core.containment.reach import Judged
    from answerable.core.decision.obligation import Kept
    from answerable.core.identity.names.principal import AgentId, UnixMillis
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
    from answerable.flows.state.triggered_holds import TriggeredHolds
    from answerable.flows.state.verify_person import PersonVerifier
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.approval_channel import ApprovalChannel
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.challenge_register import OpeningRegister
    from answerable.ports.citation_register import CitationRegister
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.ports.history_register import HistoryRegister
    from answerable.ports.hold_register import HoldRegister
    from answerable.ports.intent_log import IntentLog
    from answerable.ports.ledger import Ledger, Submitted
    from answerable.ports.mandate_register import MandateRegister
    from answerable.ports.manifest_register import ManifestRegister
    from answerable.ports.register_room import RegisterRoom
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.revocation_register import RevocationRegister
    from answerable.ports.shard_link import ShardLink
    from answerable.ports.subject_keys import SubjectKeys
    from answerable.ports.token_register import TokenRegister


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


class Stated(NamedTuple):
    """A statement about an incident that is on record. token: as it was signed. at: when it was recorded."""

    token: str
    entry: int
    at: UnixMillis


@dataclass(slots=True, kw_only=True)
class InProgress:
    """Work under way in this process, so that two concurrent callers do not both write it.

    `asking`: deferrals being written, by agent, mandate and action digest, with the event set when one is written.
    `voiding`: approvals being voided, likewise. `answering`: approvals being answered. `issuing`: mandates.
    `groups`: of waiting approvals. `looks`: stored views of them. `typed`: wrong typed names.
    `applying`: lock for documents. `lifting`: holds being lifted. `stating`: lock for statements about incidents.
    `stated`: those of the last minutes, by id. `is_stated_read`: whether those of an earlier process are among them.
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
    stating: Lock = field(default_factory=Lock)
    stated: dict[str, Stated] = field(default_factory=dict)
    is_stated_read: bool = False


@dataclass(slots=True, weakref_slot=True, kw_only=True)
class Recorder:
    """What is written to the ledger, and under which keys.

    `intents`: commits actions and records their ends; made after it, as it writes through it. `open_intents`: by ledger
    index; the task that ends an intent removes it before the end is written. `unclear`: indexes of those that
    settlement ended as indeterminate while their action is under way in this process. `clock`, `entropy`: of the
    process. `pseudonyms`: of people, by name. `keys_named`: where the log names the keys they sign with, likewise.
    `cited`: statements in the log, by kind and name, as far as in memory. `citations`: register of all of them; None
    if they are not stored. `cited_unkept`: those not stored there yet. `consents_on_the_way`: consents that may not be
    durable yet.
    `unwitnessed`: why no action is taken while witnesses do not cosign. `witness`: for actions that must be cosigned
    before they run; None if this log has no witness.
    """

    ledger: Ledger
    subject_keys: SubjectKeys
    clock: Clock = field(init=False)
    entropy: Entropy = field(init=False)
    unwitnessed: Callable[[], Refused | None] = lambda: None
    witness: IntentWitness | None = None
    intents: IntentLog = field(init=False)
    open_intents: dict[int, OpenIntent] = field(default_factory=dict)
    unclear: set[int] = field(default_factory=set)
    pseudonyms: dict[str, str] = field(default_factory=dict)
    keys_named: dict[str, NamedKeys] = field(default_factory=dict)
    cited: dict[tuple[str, str], Reference] = field(default_factory=dict)
    citations: CitationRegister | None = None
    cited_unkept: dict[tuple[str, str], Reference] = field(default_factory=dict)
    consents_on_the_way: dict[tuple[str, str], Submitted] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class AuthorityRegisters:
    """Where authority comes from, and what ends it.

    `clock`: says what is in force now. `room`: whether registers can be written; None if they are in
    memory.
    `holds`: `tripped` is `holds` itself, a wrapper that adds what stop rules tripped.
    `sessions`: what the logins behind mandates allow; immutable. `admitted`: receivers already counted among those that
    a mandate was handed on to; never undone. `owners`: the logs that own mandates, where not this one.
    `judged`: the names callers act under, and which are revoked or held; valid while `judged_in` is current: the
    epoch of both registers, the count of manifests that came into force, and the registry.
    """

    registry: RegistryStore
    mandates: MandateRegister
    approvals: ApprovalRegister
    manifests: ManifestRegister
    revocations: RevocationRegister
    holds: HoldRegister
    clock: Clock = field(init=False)
    room: RegisterRoom | None = None
    tripped: TriggeredHolds = field(init=False)
    sessions: dict[MandateId, tuple[Authority, ...]] = field(default_factory=dict)
    admitted: set[tuple[MandateId, str, str]] = field(default_factory=set)
    owners: dict[MandateId, str] = field(default_factory=dict)
    judged: dict[tuple[str, ...], Judged] = field(default_factory=dict)
    judged_in: tuple[int, int, RegistrySnapshot] | None = None
    standing: dict[MandateId, Refused | None] = field(default_factory=dict)
    standing_of: RegistrySnapshot | None = None


@dataclass(slots=True, kw_only=True)
class AskingState:
    """How people are asked, and answer.

    `reach`: notifications; None if nobody is notified, as in a benchmark. `clicks`: answers by chat; None if not
    allowed. `people`: verifies ID tokens; None if no issuer of people is trusted. `passkeys`: None if nobody can sign
    in. `duties`: routing of approvals and deputies. `canaries`: attention checks. `figures`: statistics. `under_way`:
    what is being written. `limits`: those of the settings.
    """

    openings: OpeningRegister
    channel: ApprovalChannel
    reach: NotificationState | None = None
    clicks: ChatAnswerState | None = None
    people: PersonVerifier | None = None
    passkeys: PasskeyState | None = None
    duties: OnCallState = field(default_factory=OnCallState)
    canaries: AttentionCheckState = field(default_factory=AttentionCheckState)
    figures: StatisticsState = field(default_factory=StatisticsState)
    under_way: InProgress = field(default_factory=InProgress)
    limits: WalkLimits = field(init=False)


@dataclass(slots=True, kw_only=True)
class LiveAccess:
    """What is under way or handed out under some authority, and ends with it.

    `calls`: tasks of upstream calls, by ledger index of their intents; `cut`: those that a hold ended. `streams`: of
    events to callers. `opened`: rings for each new call and stream, to wake the task that cuts what is held. `scans`:
    of `scan_stop`, by watched stop.
    `tokens`: issued by this process; None if it issues none. `leases`: the broker; None if there is none. `link`: to
    the processes of other shards, if any.
    """

    calls: dict[int, Task[object]] = field(default_factory=dict)
    cut: dict[int, Hold] = field(default_factory=dict)
    streams: set[Stream] = field(default_factory=set)
    opened: Bell = field(default_factory=Bell)
    scans: dict[HoldId, object] = field(default_factory=dict)
    tokens: TokenRegister | None = None
    leases: LeaseSide | None = None
    link: ShardLink | None = None


@dataclass(slots=True, kw_only=True)
class Counters:
    """What is counted of actions, refusals and cuts.

    `history`: counts of the trackers of the policy sets in force. `history_register`: None if they are not stored.
    `stop_rules`: counts and trips of the stop rules. `cuts`: how much this process cut, by hold. `door_refusals`:
    callers refused before there was an action.
    """

    history: History = field(default_factory=History)
    history_register: HistoryRegister | None = None
    stop_rules: StopRules = field(default_factory=StopRules)
    quota: RefusalQuota = field(init=False)
    cuts: dict[HoldId, int] = field(default_factory=dict)
    door_refusals: DoorRefusals = field(default_factory=DoorRefusals)
