"""What enrolling, renewing and ending instances need, put together by wiring."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anyio import Event

from answerable.core.identity.challenge import SECRET_BYTES, Challenges
from answerable.core.identity.instance import SUB_AGENTS_MAX
from answerable.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from answerable.core.identity.attestation import RegistrationEntry
    from answerable.core.identity.instance import Instance
    from answerable.core.identity.spiffe_id import SpiffeId
    from answerable.flows.attest_workload import Attestor
    from answerable.flows.issue_svid import SvidIssuer
    from answerable.flows.keep_trust_domain import TrustDomainDesk
    from answerable.flows.walk import Walk
    from answerable.ports.instance_register import InstanceRegister
    from answerable.ports.manifest_register import ManifestRegister
    from answerable.ports.process_observer import ProcessObserver


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadLimits:
    """instance_seconds: life of an enrolment that is not renewed. sub_agents_max: live ones of one instance.

    instances_per_agent_max: live ones of one agent, sub-agents included. forget_seconds: how long the particulars of an
    ended instance are kept. Raises Malformed (`workloads.limits`).
    """

    instance_seconds: int = 3_600
    sub_agents_max: int = SUB_AGENTS_MAX
    instances_per_agent_max: int = 10_000
    forget_seconds: int = 30 * 86_400

    def __post_init__(self) -> None:
        least = min(
            self.instance_seconds, self.sub_agents_max, self.instances_per_agent_max, self.forget_seconds
        )
        if least < 1 or self.sub_agents_max > SUB_AGENTS_MAX:
            raise Malformed(
                f"limits of workloads are at least 1 each, and sub-agents at most {SUB_AGENTS_MAX}",
                code="workloads.limits",
            )


@dataclass(slots=True, kw_only=True)
class Workloads:
    """Ports, limits and what this process is in the middle of.

    challenges: of self-proofs of keys; used under the event loop alone. turns: processes, keys and instances that
    somebody is changing right now. sub_numbers: number of the last sub-agent by parent. unrecorded: instances that have
    ended, with the code why, whose end is not in the ledger yet. registered: digest of a registry, and the selectors of
    all its agents, in force or not.
    """

    walk: Walk
    trust: TrustDomainDesk
    issuer: SvidIssuer
    attestor: Attestor
    instances: InstanceRegister
    observer: ProcessObserver
    manifests: ManifestRegister | None = None
    limits: WorkloadLimits = field(default_factory=WorkloadLimits)
    challenges: Challenges = field(init=False)
    turns: dict[str, Event] = field(default_factory=dict)
    sub_numbers: dict[SpiffeId, int] = field(default_factory=dict)
    unrecorded: list[tuple[Instance, str]] = field(default_factory=list)
    registered: tuple[str, tuple[RegistrationEntry, ...]] = ("", ())

    def __post_init__(self) -> None:
        self.challenges = Challenges(secret=self.walk.entropy.bytes(SECRET_BYTES))

    def challenge(self) -> str:
        """A fresh challenge for the self-proof of a key."""
        return self.challenges.issue(self.walk.entropy.token(), at=self.walk.clock.monotonic())

    def take_challenge(self, challenge: str) -> None:
        """Use one up. Raises Unverified (`challenge.*`) and Refused (`challenge.busy`)."""
        self.challenges.take(challenge, at=self.walk.clock.monotonic())

    @asynccontextmanager
    async def turn(self, *names: str) -> AsyncIterator[None]:
        """Whoever works on one of these names waits until nobody else of this process does."""
        while busy := next((self.turns[name] for name in names if name in self.turns), None):
            await busy.wait()
        ended = Event()
        self.turns.update(dict.fromkeys(names, ended))
        try:
            yield
        finally:
            for name in names:
                del self.turns[name]
            ended.set()
