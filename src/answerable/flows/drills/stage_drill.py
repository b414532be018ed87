"""Set up a drill: a shadow agent with its own task, instance and key, on every real part of the product but the effect.

After a crash, the remains end by themselves: the shadow's task and hold expire within minutes; its agent is registered
nowhere, so the next check ends its instance; and its intents are settled like all others.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.action.request import action_request
from answerable.core.approval.token import ANSWER, answer_claims
from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode
from answerable.core.containment.shadow import (
    ANSWERS,
    ARGUMENT,
    ASKS,
    NAME_BYTES,
    TOOL,
    WAITS,
    shadow_name,
    shadow_of,
)
from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.identity.keys.keys import SEED_BYTES, SigningKey, new_private_jwk
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.identity.proof.http_signature import SignedRequest, sign_request
from answerable.core.mandate.mandate import Grant, MandateId, MandateTerms
from answerable.core.mandate.token import MANDATE_TYP, claims_of
from answerable.errors import AnswerableError, Refused
from answerable.errors.codes.containment import DRILL_INACTIVE, DRILL_NOT_KEPT
from answerable.flows.approval.answer_approval import answer_approval
from answerable.flows.approval.typed_names import name_wanted
from answerable.flows.escalation.approval_nonces import give_nonce
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.revocation.end_instance import SHADOW_SECONDS_MAX, end_instance
from answerable.flows.state.drill_desk import Applying, DrillState
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.flows.tokens.proof_limits import ProofLimits
from answerable.flows.tokens.verify_caller import CallerVerifier
from answerable.flows.walk.govern_action import govern_action
from answerable.flows.workloads.enrol_workload import enrol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import JSONValue
    from answerable.core.containment.drill import Drilled
    from answerable.core.containment.shadow import Shadow
    from answerable.core.identity.workload.instance import Instance
    from answerable.core.ledger.answer import Answer
    from answerable.flows.state.parts import LiveAccess, Recorder
    from answerable.flows.state.steps import Deciding, Planning
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger

SECONDS_MAX: Final = 60
"""Longest drill; a condition not reached by then counts as not reached."""
LIFE_SECONDS: Final = SHADOW_SECONDS_MAX
"""Lifetime of a shadow's task, and of a hold on it."""
ACTIONS_BEFORE: Final = 20
"""Effects of the shadow before the press."""
CALLS_MAX: Final = 20_000
_AUTHORITY: Final = "drill"
_NONCE_BYTES: Final = 16
_OK: Final[dict[str, JSONValue]] = {
    "content": [{"type": "text", "text": "nothing was touched"}],
    "isError": False,
}


@dataclass(slots=True, kw_only=True)
class Stage:
    """A drill that is set up. recorder, planning, deciding, live, workloads: on which the shadow acts. key: the
    instance's. started_at: start of each effect, monotonic clock. in_swing: set once enough effects happened, or no
    more will. waiting, let_end: of the call in flight. first_entry: first ledger entry of the drill."""

    recorder: Recorder
    planning: Planning
    deciding: Deciding
    live: LiveAccess
    workloads: Workloads
    verifier: CallerVerifier
    shadow: Shadow
    key: SigningKey
    approver: SigningKey
    mandate: MandateId
    instance: Instance
    first_entry: int
    started_at: list[float] = field(default_factory=list)
    in_swing: anyio.Event = field(default_factory=anyio.Event)
    waiting: anyio.Event = field(default_factory=anyio.Event)
    let_end: anyio.Event = field(default_factory=anyio.Event)

    async def act(self, how: str) -> Answer:
        """Perform one action of the shadow, from a message that its instance signs. Raises as the walk does."""
        body = encode({ARGUMENT: how, "nonce": to_base64url(self.recorder.entropy.bytes(_NONCE_BYTES))})
        message = sign_request(
            SignedRequest(
                method=b"POST",
                authority=_AUTHORITY.encode(),
                target=b"/drill",
                body=body,
                mandate=self.mandate.encode(),
            ),
            algorithm=self.key.algorithm,
            keyid=self.key.public.thumbprint,
            created=self.recorder.clock.now() // 1000,
            nonce=f"{self.verifier.epoch}.{to_base64url(self.recorder.entropy.bytes(_NONCE_BYTES))}",
            sign=self.key.sign,
        )
        caller = self.verifier.verify(message)
        request = action_request(
            server=self.shadow.name,
            method="tools/call",
            target=TOOL,
            arguments={ARGUMENT: how},
            mandate_id=self.mandate,
            reason="a drill",
            message_digest=caller.message_digest,
        )
        return await govern_action(self.recorder, self.planning, self.deciding, self.live, request, caller)

    async def approve(self, approval: Approval) -> Approval:
        """Sign and give the yes of the shadow's approver. Raises as `answer_approval`."""
        now = self.recorder.clock.now()
        nonce, _ = give_nonce(
            self.deciding.asking.openings, self.recorder.clock, self.recorder.entropy, approval.id
        )
        claims = answer_claims(
            approval,
            nonce=nonce,
            by=PrincipalId(self.shadow.approver),
            verdict="approve",
            comment="a drill",
            audience=self.recorder.ledger.origin,
            at=now,
        )
        token = ANSWER.sign(claims, self.approver)
        typed = name_wanted(self.planning.authority.registry, approval)
        return await answer_approval(
            self.recorder,
            self.planning.authority,
            self.deciding.asking,
            self.deciding.counters,
            approval.id,
            token,
            typed=typed,
        )

    async def tool(self, arguments: dict[str, JSONValue]) -> dict[str, JSONValue]:
        """Run the shadow's only tool. It touches nothing, and returns at once or when `let_end` is set."""
        self.started_at.append(self.recorder.clock.monotonic())
        if len(self.started_at) >= ACTIONS_BEFORE:
            self.in_swing.set()
        if arguments.get(ARGUMENT) == WAITS:
            self.waiting.set()
            await self.let_end.wait()
        return _OK


@asynccontextmanager
async def staged(workloads: Workloads, what: Drilled) -> AsyncIterator[Stage]:
    """Set up a drill for the duration of the block. Raises Refused (`drill.unknown`, `drill.not_kept`,
    `drill.inactive`), Unavailable, and the exceptions of issuing a mandate and enrolling an instance."""
    ground = workloads.applying.drills.ground
    if ground is None:
        raise not_kept()
    entropy = workloads.recorder.entropy
    giver, approver, key = (
        SigningKey(new_private_jwk("ed25519", entropy.bytes(SEED_BYTES["ed25519"]))) for _ in range(3)
    )
    shadow = shadow_of(
        what,
        workloads.authority.registry.documents(),
        name=shadow_name(what, entropy.bytes(NAME_BYTES)),
        giver=giver.public,
        approver=approver.public,
    )
    stages: list[Stage] = []

    async def tool(arguments: dict[str, JSONValue]) -> dict[str, JSONValue]:
        return await stages[0].tool(arguments)

    name = AgentId(shadow.name)
    first_entry = workloads.recorder.ledger.size
    recorder, planning, deciding, live = ground(shadow, tool)
    registry = planning.authority.registry
    current = registry.current
    if name not in current.agents or shadow.name not in current.capabilities:
        raise DRILL_INACTIVE()
    own = _apart(workloads, recorder, planning, deciding, live)
    mandate = instance = None
    try:
        instance = await _enrolled(own, name, key)
        mandate = MandateId(shadow.name)
        await issue_mandate(
            recorder,
            planning.authority,
            deciding.asking,
            _task(recorder.ledger, recorder.clock, shadow, giver),
        )
        verifier = CallerVerifier(
            registry=registry,
            clock=workloads.recorder.clock,
            entropy=entropy,
            limits=ProofLimits(authorities=frozenset((_AUTHORITY,))),
            instances=own.instances,
            trust=own.trust,
        )
        stage = Stage(
            recorder=recorder,
            planning=planning,
            deciding=deciding,
            live=live,
            workloads=own,
            verifier=verifier,
            shadow=shadow,
            key=key,
            approver=approver,
            mandate=mandate,
            instance=instance,
            first_entry=first_entry,
        )
        stages.append(stage)
        yield stage
    finally:
        with anyio.CancelScope(shield=True):
            await _cleared(own, mandate, instance)


def _apart(
    workloads: Workloads, recorder: Recorder, planning: Planning, deciding: Deciding, live: LiveAccess
) -> Workloads:
    """Return the same workloads over the parts of a drill."""
    return replace(
        workloads,
        recorder=recorder,
        authority=planning.authority,
        verification=planning.verification,
        asking=deciding.asking,
        applying=Applying(
            policies=deciding.policies, drills=DrillState(), counters=deciding.counters, live=live
        ),
    )


def not_kept() -> Refused:
    """Return the refusal of a process that stores no drills."""
    return DRILL_NOT_KEPT()


async def _enrolled(workloads: Workloads, name: AgentId, key: SigningKey) -> Instance:
    attestor = workloads.attestor
    token = attestor.new_join_token(name, name)
    return await enrol(workloads, evidence=attestor.join_token(token), key=key.public)


def _task(ledger: Ledger, clock: Clock, shadow: Shadow, giver: SigningKey) -> str:
    now = clock.now()
    terms = MandateTerms(
        id=MandateId(shadow.name),
        principal=PrincipalId(shadow.name),
        agent=AgentId(shadow.name),
        use_case=shadow.name,
        purpose="A drill, which touches nothing",
        grants=(Grant(capability=shadow.name),),
        caveats=(),
        calls_max=CALLS_MAX,
        not_before=now,
        expires_at=UnixMillis(now + LIFE_SECONDS * 1000),
    )
    return signed_statement(claims_of(terms, audience=ledger.origin), typ=MANDATE_TYP, key=giver)


async def _cleared(workloads: Workloads, mandate: MandateId | None, instance: Instance | None) -> None:
    """Close the shadow's mandate and end its instance. What cannot be ended now expires by itself."""
    with suppress(AnswerableError):
        if mandate is not None and workloads.authority.mandates.find(mandate) is not None:
            await close_mandate(
                workloads.recorder, workloads.authority, workloads.applying.live, mandate, by=mandate
            )
    with suppress(AnswerableError):
        if instance is not None:
            await end_instance(workloads, instance.id, because="asked")


__all__ = ["ANSWERS", "ASKS", "SECONDS_MAX", "WAITS", "Stage", "not_kept", "staged"]
