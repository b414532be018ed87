"""Everything that enrolling, renewing and ending instances uses, put together by wiring."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from anyio import Event

from answerable.core.identity.names.pace import Pace
from answerable.core.identity.workload.attestation import RegistrationEntry
from answerable.core.identity.workload.challenge import SECRET_BYTES, Challenges
from answerable.core.identity.workload.instance import SUB_AGENTS_MAX
from answerable.core.identity.workload.sidecars import Sidecars
from answerable.errors import shown
from answerable.errors.codes.workloads import WORKLOADS_LIMITS, WORKLOADS_PACE
from answerable.flows.trust_domain.issued_svids import IssuedSvids
from answerable.flows.trust_domain.measure_process import Measuring

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from answerable.core.identity.names.principal import AgentId
    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.registry.documents.documents import Agent
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.drill_desk import Applying
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Recorder
    from answerable.flows.state.worlds import Verification
    from answerable.flows.trust_domain.attest_workload import Attestor
    from answerable.flows.trust_domain.issue_svid import SvidIssuer
    from answerable.flows.trust_domain.keep_trust_domain import TrustDomainState
    from answerable.ports.instance_register import InstanceRegister
    from answerable.ports.manifest_register import ManifestRegister
    from answerable.ports.process_observer import ProcessObserver


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadLimits:
    """Limits of workloads. `instance_seconds`: life of an enrolment without renewal. `sub_agents_max`: live ones of one
    instance.

    `instances_per_agent_max`: live ones of one agent, sub-agents included. `forget_seconds`: how long details of an
    ended instance are stored; the ledger has them for good. `instances_per_minute_max`, `documents_per_minute_max`: new
    instances of one agent, and its SVIDs plus recorded changes of instances: each costs ledger entries, which an agent
    that starts processes without end must not exhaust. Raises Malformed (`workloads.limits`).
    """

    instance_seconds: int = 3_600
    sub_agents_max: int = SUB_AGENTS_MAX
    instances_per_agent_max: int = 10_000
    forget_seconds: int = 3_600
    instances_per_minute_max: int = 600
    documents_per_minute_max: int = 6_000

    def __post_init__(self) -> None:
        least = min(
            self.instance_seconds,
            self.sub_agents_max,
            self.instances_per_agent_max,
            self.forget_seconds,
            self.instances_per_minute_max,
            self.documents_per_minute_max,
        )
        if least < 1 or self.sub_agents_max > SUB_AGENTS_MAX:
            raise WORKLOADS_LIMITS(
                f"limits of workloads are at least 1 each, and sub-agents at most {SUB_AGENTS_MAX}"
            )


@dataclass(slots=True, kw_only=True)
class Workloads:
    """Ports, parts, limits and the work under way in this process.

    `challenges`, `local_challenges`: for self-proofs of keys, over TCP and from local processes; a challenge is valid
    only at the endpoint that issued it. Use in the event loop only. `measuring`: of local processes. `turns`:
    processes, keys and instances being changed now. `sub_numbers`: number of the last sub-agent, by parent. `sidecars`:
    whose measurements count as the sidecar's. `issued`: unexpired SVIDs in the log.
    """

    recorder: Recorder
    authority: AuthorityRegisters
    verification: Verification
    asking: AskingState
    applying: Applying
    trust: TrustDomainState
    issuer: SvidIssuer
    attestor: Attestor
    instances: InstanceRegister
    observer: ProcessObserver
    manifests: ManifestRegister | None = None
    limits: WorkloadLimits = field(default_factory=WorkloadLimits)
    sidecars: Sidecars = field(default_factory=Sidecars)
    challenges: Challenges = field(init=False)
    local_challenges: Challenges = field(init=False)
    measuring: Measuring = field(default_factory=Measuring)
    turns: dict[str, Event] = field(default_factory=dict)
    sub_numbers: dict[SpiffeId, int] = field(default_factory=dict)
    issued: IssuedSvids = field(default_factory=IssuedSvids, init=False)

    _in_force: tuple[RegistrySnapshot | None, tuple[RegistrationEntry, ...]] = field(
        default=(None, ()), init=False
    )
    _new: Pace = field(init=False)
    _documents: Pace = field(init=False)

    def __post_init__(self) -> None:
        self.challenges = Challenges(secret=self.recorder.entropy.bytes(SECRET_BYTES))
        self.local_challenges = Challenges(secret=self.recorder.entropy.bytes(SECRET_BYTES))
        self._new = Pace(self.limits.instances_per_minute_max)
        self._documents = Pace(self.limits.documents_per_minute_max)

    def challenge(self, *, local: bool = False) -> str:
        """Return a fresh challenge for the self-proof of a key. `local`: of a process connected by a Unix socket."""
        return self._challenges(local).issue(
            self.recorder.entropy.token(), at=self.recorder.clock.monotonic()
        )

    def take_challenge(self, challenge: str, *, local: bool = False) -> None:
        """Use up a challenge given to the same kind of caller. Raises Unverified (`challenge.*`)."""
        self._challenges(local).take(challenge, at=self.recorder.clock.monotonic())

    def in_force(self) -> tuple[RegistrationEntry, ...]:
        """Return the registration entries of the current registry's agents. Cached for each registry."""
        current = self.authority.registry.current
        if self._in_force[0] is not current:
            self._in_force = current, tuple(entries_of(current.agents.values()))
        return self._in_force[1]

    def count_instance(self, agent: AgentId) -> None:
        """Count a new instance before it is recorded. Raises Refused (`workloads.pace`)."""
        self._count(self._new, agent, "new instances", self.limits.instances_per_minute_max)

    def count_document(self, agent: AgentId) -> None:
        """Count an SVID, or a recorded change of an instance, in advance. Raises Refused (`workloads.pace`)."""
        self._count(self._documents, agent, "documents and changes", self.limits.documents_per_minute_max)

    @asynccontextmanager
    async def turn(self, *names: str) -> AsyncIterator[None]:
        """Lock these names within this process; wait until no other task holds one of them."""
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

    def _challenges(self, local: bool) -> Challenges:
        return self.local_challenges if local else self.challenges

    def _count(self, pace: Pace, agent: AgentId, what: str, most: int) -> None:
        wait = pace.take(agent, at=self.recorder.clock.monotonic())
        if wait:
            again = f"try again in {ceil(wait * 1000)} ms"
            raise WORKLOADS_PACE(f"agent {shown(agent)} has used its {most} {what} a minute: {again}")


def entries_of(agents: Iterable[Agent]) -> Iterable[RegistrationEntry]:
    """Yield one entry for each set of selectors that identifies an agent."""
    return (
        RegistrationEntry(agent=agent.name, selectors=frozenset(selectors))
        for agent in agents
        for selectors in agent.attestation
    )
