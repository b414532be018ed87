"""Build a complete walk for tests: registers in SQLite, a log in memory, Cedar, and an upstream that checks the walk's
laws.

bench = await Bench().registered()
await bench.issue("m-1")
answer = await bench.act("refund", {"case": "4711", "amount": 1200})

The registry is that of `samples` with a second agent (rover), two more people (carol, who approves, and dan, who does
not) and policies that defer: refunds above 5,000 wait for one approver, above 50,000 for two, above 1,000,000 are never
allowed.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.adapters.cedar import compiled
from answerable.adapters.cedar.asking import compiled_asking
from answerable.adapters.memory.approval_channel import MemoryApprovalChannel
from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteDutyRegister,
    SqliteEpochs,
    SqliteHoldRegister,
    SqliteMandateRegister,
    SqliteManifestRegister,
    SqliteOpeningRegister,
    SqlitePolicyRegister,
    SqlitePreparedRegister,
    SqliteRegistryStore,
    SqliteRevocationRegister,
)
from answerable.core.action.request import ActionRequest, action_request
from answerable.core.canonical import parse
from answerable.core.identity.keys.keys import ed25519_public
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import Grant
from answerable.core.tlog.note import VerifierKey
from answerable.flows.approval.answer_approval import answer_approval
from answerable.flows.approval.typed_names import name_wanted
from answerable.flows.escalation.approval_nonces import give_nonce
from answerable.flows.registry.apply_registry import apply_registry, policy_text
from answerable.flows.state.duty_desk import OnCallState
from answerable.flows.state.parts import AskingState, AuthorityRegisters, Counters, Recorder
from answerable.flows.state.policy_desk import PolicyState
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.state.worlds import Verification
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.flows.walk.govern_action import govern_action
from answerable.sdk.signing import signed_answer, signed_mandate
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy
from answerable.testing.memory_ledger import MemoryLedger
from answerable.testing.recording_upstream import RecordingUpstream
from answerable.testing.registers import fresh_store, fresh_subject_keys
from answerable.testing.samples import (
    AUDIENCE,
    OWNERSHIP,
    document,
    mandate_terms,
    registry_documents,
    signing_key,
)
from answerable.testing.tool_pins import ApprovedAsSeen
from answerable.wiring.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.token import Verdict
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.answer import Answer
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.ports.approval_channel import ApprovalChannel
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.challenge_register import OpeningRegister
    from answerable.ports.clock import Clock
    from answerable.ports.decision_point import DecisionPoint
    from answerable.ports.duty_register import DutyRegister
    from answerable.ports.entropy import Entropy
    from answerable.ports.history_register import HistoryRegister
    from answerable.ports.hold_register import HoldRegister
    from answerable.ports.ledger import Ledger
    from answerable.ports.mandate_register import MandateRegister
    from answerable.ports.prepared_register import PreparedRegister
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.subject_keys import SubjectKeys
    from answerable.ports.tool_pins import ToolPinRegister
    from answerable.ports.upstream import Upstream

POLICIES: Final = """
@id("read") permit (principal, action == Action::"crm.read", resource);
@id("refund") permit (principal, action == Action::"crm.refund", resource);
@id("refund-large") @reason("refunds above 5000 wait for an approver") @approve("approvers:1")
forbid (principal, action == Action::"crm.refund", resource) when { context.arguments.amount > 5000 };
@id("refund-huge") @reason("refunds above 50000 wait for two approvers") @approve("approvers:2")
forbid (principal, action == Action::"crm.refund", resource) when { context.arguments.amount > 50000 };
@id("refund-never") @reason("nobody refunds more than 1000000")
forbid (principal, action == Action::"crm.refund", resource) when { context.arguments.amount > 1000000 };
"""

_COMPILED: Final[dict[tuple[str, str], DecisionPoint]] = {}


def bench_documents(policies: str = POLICIES) -> list[JSONValue]:
    """Return the registry documents of a bench."""
    documents = [d for d in registry_documents() if not (isinstance(d, dict) and d["kind"] == "PolicySet")]
    rover: dict[str, JSONValue] = {
        "useCase": "support",
        "environment": "production",
        "keys": [parse(signing_key("rover").public.jwk.encode())],
        "ownership": {**OWNERSHIP},
    }
    for person, groups in (("carol", ["approvers"]), ("dan", ["sales"])):
        key = parse(signing_key(person).public.jwk.encode())
        documents.append(document("Principal", person, {"groups": [*groups], "keys": [key]}))
    documents += [document("Agent", "rover", rover), document("PolicySet", "house", {"policies": policies})]
    return documents


def with_spending(document: JSONValue) -> JSONValue:
    """Add consumption to a Capability document: a refund spends its amount, and every capability reserves 9 rows, which
    the answer counts, and 1,200 bytes. Other documents are unchanged."""
    match document:
        case {"kind": "Capability", "metadata": {"name": str(name)}, "spec": dict(spec)}:
            pays = name == "crm.refund"
            spec["amount"] = {"argument": "amount", "currency": "EUR"} if pays else {"fixed": 0}
            spec["reserves"] = {"rows": 9, "bytes": 1_200}
            spec["measures"] = {"rows": "/rows"}
    return document


def with_trackers(document: JSONValue, trackers: Sequence[JSONValue]) -> JSONValue:
    """Add these trackers to a PolicySet document. Other documents are unchanged."""
    match document:
        case {"kind": "PolicySet", "spec": dict(spec)}:
            spec["trackers"] = [*trackers]
    return document


def about_customers(document: JSONValue) -> JSONValue:
    """Make refunds hold the personal data of the case's customer, and not of the person who gave the task. Other
    documents are unchanged."""
    match document:
        case {"kind": "Capability", "metadata": {"name": "crm.refund"}, "spec": dict(spec)}:
            spec["subject"] = {"type": "Customer", "argument": "case"}
    return document


def memory_ledger(
    clock: Clock, *, entries_max: int = 1_000_000, reserve_entries: int = 1_000
) -> MemoryLedger:
    """Return a log named like the deployment of the samples."""
    key = signing_key("ledger")
    return MemoryLedger(
        key=ledger_key(), sign=key.sign, clock=clock, entries_max=entries_max, reserve_entries=reserve_entries
    )


def ledger_key() -> VerifierKey:
    """Return the verifier key of the bench's log."""
    return VerifierKey.ed25519(AUDIENCE, ed25519_public(signing_key("ledger").public))


def compiled_once(policies: str, snapshot: RegistrySnapshot) -> DecisionPoint:
    """Implements PolicyCompiler with Cedar and caches the result: benches with the same documents share the work."""
    key = (policies, snapshot.digest)
    if key not in _COMPILED:
        _COMPILED[key] = compiled(policies, snapshot)
    return _COMPILED[key]


class Bench:
    """A walk and its parts. Each part can be replaced by another real adapter, or a faulty one. store: of the registers
    that were not replaced."""

    def __init__(
        self, *, clock: ManualClock | None = None, entropy: Entropy | None = None,
        ledger: Ledger | None = None, registry: RegistryStore | None = None,
        mandates: MandateRegister | None = None, approvals: ApprovalRegister | None = None,
        openings: OpeningRegister | None = None, channel: ApprovalChannel | None = None,
        upstream: Upstream | None = None, subject_keys: SubjectKeys | None = None,
        limits: WalkLimits | None = None, revocations: SqliteRevocationRegister | None = None,
        holds: HoldRegister | None = None, publishers: str = "", history: HistoryRegister | None = None,
        pins: ToolPinRegister | None = None, prepared: PreparedRegister | None = None,
        duties: DutyRegister | None = None,
    ) -> None:  # fmt: skip
        """Build a walk over these ports; the policies are those in the registry. holds: must share the store of
        revocations."""
        self.clock = clock or ManualClock()
        self.store = store = fresh_store()
        if revocations is None:
            revocations = SqliteRevocationRegister(store, clock=self.clock)
            holds = holds or SqliteHoldRegister(store, revocations)
        assert holds is not None  # noqa: S101 - of the same store, for they have one epoch
        entropy = entropy or SeededEntropy("bench")
        ledger = ledger or memory_ledger(self.clock)
        registry = registry or SqliteRegistryStore(store)
        subject_keys = subject_keys or fresh_subject_keys()
        self.upstream = RecordingUpstream(clock=self.clock, ledger=ledger, subject_keys=subject_keys)
        self.sequence = 0
        self.walk = Walk(
            clock=self.clock,
            entropy=entropy,
            limits=limits or WalkLimits(),
            recorder=Recorder(ledger=ledger, subject_keys=subject_keys),
            authority=AuthorityRegisters(
                registry=registry,
                mandates=mandates or SqliteMandateRegister(store),
                approvals=approvals or SqliteApprovalRegister(store),
                manifests=SqliteManifestRegister(store),
                revocations=revocations,
                holds=holds,
            ),
            asking=AskingState(
                openings=openings or SqliteOpeningRegister(store),
                channel=channel or MemoryApprovalChannel(),
                duties=OnCallState(register=duties or SqliteDutyRegister(store)),
            ),
            counters=Counters(history_register=history),
            verification=Verification(
                upstream=upstream or self.upstream,
                pins=pins or ApprovedAsSeen(registry, upstream or self.upstream, store=store),
                epochs=SqliteEpochs(revocations),
                prepared=prepared or SqlitePreparedRegister(store),
            ),
            policies=PolicyState(
                decision_point=compiled_once(policy_text(registry.current), registry.current),
                compile_policies=compiled_once,
                publishers=publishers,
                records=SqlitePolicyRegister(store),
                compile_asking=compiled_asking,
            ),
        )

        self.recorder, self.authority, self.asking = self.walk.recorder, self.walk.authority, self.walk.asking
        self.live, self.counters = self.walk.live, self.walk.counters

    @property
    def channel(self) -> MemoryApprovalChannel:
        """The channel that records notifications to approvers. Raises TypeError if another channel was passed in."""
        if not isinstance(self.walk.asking.channel, MemoryApprovalChannel):
            raise TypeError("the bench was given a channel that keeps nothing")
        return self.walk.asking.channel

    def opened(self, index: int) -> tuple[dict[str, JSONValue], dict[str, JSONValue]]:
        """Return the leaf and fields of an entry, as the timeline reads them; empty fields if there are none."""
        stored = next(iter(self.walk.recorder.ledger.replay(index)))
        leaf = leaf_of(stored)
        return leaf, payload_of(stored, leaf, self.walk.recorder.subject_keys.find) or {}

    async def registered(self, documents: Sequence[JSONValue] | None = None) -> Bench:
        """Put these documents, or those of `bench_documents`, into force and return the bench."""
        return await self.apply(documents or bench_documents())

    async def apply(self, documents: Sequence[JSONValue], *, prune: bool = False) -> Bench:
        """Put these documents into force as an operator, and return the bench. prune: without all others."""
        parts = self.recorder, self.authority, self.asking, self.walk.applying
        await apply_registry(*parts, documents, by="operator", prune=prune)
        return self

    async def govern(self, action: ActionRequest, caller: VerifiedCaller) -> Answer:
        """Run an action through the walk."""
        return await govern_action(
            self.recorder, self.walk.planning, self.walk.deciding, self.live, action, caller
        )

    async def issue(
        self,
        identity: str = "m-1",
        *,
        agent: str = "scout",
        calls_max: int = 20,
        seconds: int = 3600,
        grants: tuple[Grant, ...] | None = None,
        principal: str = "alice",
        budgets: tuple[tuple[str, int], ...] = (),
    ) -> Mandate:
        """Issue a mandate for both capabilities, signed by its principal and valid from now on."""
        now = self.clock.now()
        terms = replace(
            mandate_terms(identity),
            principal=PrincipalId(principal),
            agent=AgentId(agent),
            grants=grants or (Grant(capability="crm.read"), Grant(capability="crm.refund")),
            calls_max=calls_max,
            budgets=budgets,
            not_before=now,
            expires_at=UnixMillis(now + seconds * 1000),
        )
        token = signed_mandate(terms, audience=AUDIENCE, key=signing_key(principal))
        return await issue_mandate(self.recorder, self.authority, self.asking, token)

    def request(
        self,
        target: str,
        arguments: JSONValue,
        *,
        mandate: str = "m-1",
        agent: str = "scout",
        reason: str = "the customer asked",
        server: str = "crm",
    ) -> tuple[ActionRequest, VerifiedCaller]:
        """Return an action and its verified caller over the same message."""
        self.sequence += 1
        digest = sha256(b"%d" % self.sequence).digest()
        action = action_request(
            server=server,
            method="tools/call",
            target=target,
            arguments=arguments,
            mandate_id=mandate,
            reason=reason,
            message_digest=digest,
        )
        caller = VerifiedCaller(
            agent=AgentId(agent),
            proof="signature",
            binding=signing_key(agent).public.thumbprint,
            sequence=self.sequence,
            message_digest=digest,
            at=self.clock.now(),
        )
        return action, caller

    async def act(
        self,
        target: str = "get_case",
        arguments: JSONValue = None,
        *,
        mandate: str = "m-1",
        agent: str = "scout",
        reason: str = "the customer asked",
    ) -> Answer:
        """Run one action through the walk. arguments: by default those of a read of case 4711."""
        arguments = {"case": "4711"} if arguments is None else arguments
        action, caller = self.request(target, arguments, mandate=mandate, agent=agent, reason=reason)
        return await self.govern(action, caller)

    async def refund(self, amount: int, *, mandate: str = "m-1", agent: str = "scout") -> Answer:
        """Run a refund for case 4711 through the walk."""
        return await self.act("refund", {"case": "4711", "amount": amount}, mandate=mandate, agent=agent)

    async def answer(
        self,
        approval: Approval,
        *,
        by: str = "bob",
        verdict: Verdict = "approve",
        comment: str = "",
        typed: str | None = None,
        **words: str,
    ) -> Approval:
        """Answer an approval as a person, with a token signed now. words: reason and narrower of a denial. typed: in
        place of the name that the card requires."""
        token = signed_answer(
            approval,
            nonce=nonce_for(self.walk.asking.openings, self.walk.clock, self.walk.entropy, approval),
            by=PrincipalId(by),
            verdict=verdict,
            comment=comment,
            audience=AUDIENCE,
            at=self.clock.now(),
            key=signing_key(by),
            **words,
        )
        typed = name_wanted(self.walk.authority.registry, approval) if typed is None else typed
        return await answer_approval(
            self.walk.recorder,
            self.walk.authority,
            self.walk.asking,
            self.walk.counters,
            approval.id,
            token,
            typed=typed,
        )

    def entries(self, *tags: Tag) -> list[dict[str, JSONValue]]:
        """Return the leaves in the ledger with their `index`, of these types or of all."""
        found: list[dict[str, JSONValue]] = []
        for stored in self.walk.recorder.ledger.replay():
            leaf = parse(stored.leaf)
            if isinstance(leaf, dict) and (not tags or stored.tag in tags):
                found.append({**leaf, "index": stored.index})
        return found


def nonce_for(openings: OpeningRegister, clock: Clock, entropy: Entropy, approval: Approval) -> bytes:
    """Return the nonce that a person gets who opens this approval for one answer."""
    return give_nonce(openings, clock, entropy, approval.id)[0]
