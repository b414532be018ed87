"""Implement the Workload API's dependencies: local processes become instances, and instances get their SVIDs."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from answerable.apps.workload_api.seen_strangers import SeenStrangers
from answerable.apps.workload_api.services import Identity as Name
from answerable.apps.workload_api.services import IssuedWit
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.proof.channel import Channel, PeerCredentials
from answerable.core.identity.proof.door_refusal import Sender, untold
from answerable.core.identity.svid.jwt_svid import verified_jwt_svid
from answerable.core.identity.svid.svid_keys import jwk_text
from answerable.core.identity.workload.broker_grant import names_of, within_reach
from answerable.errors import Refused
from answerable.errors.codes.workloads import PROCESS_CHANGED, PROCESS_GONE
from answerable.flows.workloads import hand_out_svid
from answerable.flows.workloads.enrol_workload import agent_of, enrol, renew

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from answerable.apps.workload_api.peer import PeerProcess
    from answerable.core.identity.names.principal import AgentId
    from answerable.core.identity.names.spiffe_id import SpiffeId, TrustDomain
    from answerable.core.identity.proof.door_refusal import TellRefused
    from answerable.core.identity.svid.jwt_svid import JwtSvid
    from answerable.core.identity.svid.trust_bundle import TrustBundle
    from answerable.core.identity.svid.x509_svid import X509Svid
    from answerable.core.identity.workload.broker_grant import BrokerGrant
    from answerable.core.identity.workload.evidence import Evidence
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.ports.process_observer import ProcessFacts
    from answerable.wiring.identity import Identity

PROCESSES_MAX: Final = 65_536
"""Enrolled processes remembered by pid and start time; past this number the memory is cleared."""


class WorkloadNeeds:
    """Implements apps.workload_api.services.WorkloadServices. Belongs to the event loop's thread."""

    def __init__(
        self,
        identity: Identity,
        workloads: Workloads,
        *,
        brokers: tuple[BrokerGrant, ...] = (),
        refused: TellRefused = untold,
    ) -> None:
        """brokers: who may fetch for whom, in addition to being registered as a broker; nobody by default. refused:
        called for every process that gets no identity."""
        self._identity = identity
        self._workloads = workloads
        self._brokers = brokers
        self._refused = refused
        self._strangers = SeenStrangers(identity.seen, workloads.recorder.clock)
        self._processes: dict[tuple[int, int], str] = {}

    @property
    def domain(self) -> TrustDomain:
        return self._identity.desk.domain

    async def identify(self, peer: PeerProcess) -> tuple[Name, ...]:
        """As the interface says: the process is measured each time, and keeps its instance."""
        facts = await self._measured(peer)
        return (await self._enrolled(peer, facts),)

    async def may_broker(self, broker: PeerProcess) -> bool:
        """As the interface says: the agent must be registered as a broker, and the settings must list it."""
        return bool(self._reach(await self._measured(broker)))

    async def identify_for(
        self, broker: PeerProcess, workload: PeerProcess
    ) -> tuple[SpiffeId, tuple[Name, ...]] | None:
        """As the interface says. A broker is an instance like any other, so that documents fetched through it can name
        it."""
        own = await self._measured(broker)
        reach = self._reach(own)
        if not reach:
            return None
        facts = await self._measured(workload)
        evidence = self._workloads.attestor.unix(facts)
        agent: AgentId | None = None
        # A broker that may not fetch for the workload must not learn who the workload is, or that it has no identity.
        with suppress(Refused):
            agent = agent_of(self._workloads, evidence).name
        if not reach & names_of(self.domain, agent, evidence.selectors):
            return None
        through = await self._enrolled(broker, own)
        return through.id, (await self._enrolled(workload, facts),)

    def _reach(self, broker: ProcessFacts) -> frozenset[str]:
        """Return the names of the workloads that it may fetch for; empty if it is no broker."""
        evidence = self._workloads.attestor.unix(broker)
        agent = agent_of(self._workloads, evidence)
        if not agent.broker:
            return frozenset()
        return within_reach(self._brokers, names_of(self.domain, agent.name, evidence.selectors))

    async def _enrolled(self, peer: PeerProcess, facts: ProcessFacts) -> Name:
        evidence = self._workloads.attestor.unix(facts)
        try:
            instance = await enrol(self._workloads, evidence=evidence, key=None, process=facts.process)
        except Refused as refused:
            if refused.code.startswith("attestation."):
                self._strangers.note(facts)
            self._tell(refused, peer, evidence)
            raise
        self._strangers.enrolled(facts)
        self._remember(peer, facts.process)
        renewed = await renew(self._workloads, instance.id, evidence=evidence)
        return Name(id=renewed.id, hint=renewed.agent)

    def _tell(self, refused: Refused, peer: PeerProcess, evidence: Evidence) -> None:
        agent = ""
        with suppress(Refused):
            agent = agent_of(self._workloads, evidence).name
        process = PeerCredentials(pid=peer.pid, uid=peer.uid, gid=peer.gid, started=peer.started)
        channel = Channel(connection=0, sequence=0, peer=process)
        self._refused(refused, Sender(channel=channel), agent=agent)

    async def x509_svid(
        self, identity: SpiffeId, public_key: EllipticCurvePublicKey, *, broker: SpiffeId | None = None
    ) -> X509Svid:
        return await hand_out_svid.x509_svid(self._workloads, identity, public_key, broker=broker)

    async def jwt_svid(
        self, identity: SpiffeId, audience: tuple[str, ...], *, broker: SpiffeId | None = None
    ) -> str:
        return await hand_out_svid.jwt_svid(self._workloads, identity, audience, broker=broker)

    async def wit_svid(self, identity: SpiffeId, public_key: EllipticCurvePublicKey) -> IssuedWit:
        jwk = jwk_text(public_key, alg="ES256")
        token = await hand_out_svid.wit_svid(self._workloads, identity, public_key, jwk)
        seconds = self._identity.desk.limits.jwt_seconds
        return IssuedWit(token=token, expires_at=UnixMillis(self.now() + seconds * 1000))

    async def judge_jwt_svid(self, token: str, *, audience: str) -> JwtSvid:
        return verified_jwt_svid(
            token, audience=audience, bundle_of=self._identity.desk.bundle, now=self.now()
        )

    def bundles(self) -> Mapping[TrustDomain, TrustBundle]:
        return self._identity.desk.bundles()

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        ends = (self._identity.desk.watch(changed), self._identity.changes.add(changed))

        def end() -> None:
            for one in ends:
                one()

        return end

    def now(self) -> UnixMillis:
        return self._workloads.recorder.clock.now()

    def entropy(self, size: int) -> bytes:
        return self._workloads.recorder.entropy.bytes(size)

    async def _measured(self, peer: PeerProcess) -> ProcessFacts:
        """Measure a process. Raises Unavailable (`process.*`), Unverified (`process.*`)."""
        measuring = self._workloads.measuring
        async with measuring.turn(peer.uid, enrolled=self._is_enrolled(peer)):
            if peer.pidfd < 0:
                raise PROCESS_GONE("the process ended before it was measured")
            # A duplicate, because a thread that outlives this call must not find another file under the descriptor's
            # number.
            held = [os.dup(peer.pidfd)]

            def observe() -> ProcessFacts:
                pidfd = held.pop()
                try:
                    return self._workloads.observer.observe(peer.pid, started=peer.started, pidfd=pidfd)
                finally:
                    os.close(pidfd)

            try:
                facts = await measuring.in_thread(observe)
            finally:
                # Nobody took the duplicate if the caller left before a thread started.
                for pidfd in held:
                    os.close(pidfd)
        if (facts.uid, facts.gid) != (peer.uid, peer.gid):
            # Any user may start a setuid program and pass the connection to another process.
            raise PROCESS_CHANGED("the process runs as another user or group than the one that connected")
        return facts

    def _is_enrolled(self, peer: PeerProcess) -> bool:
        process = self._processes.get((peer.pid, peer.started))
        return process is not None and self._workloads.instances.by_process(process) is not None

    def _remember(self, peer: PeerProcess, process: str) -> None:
        if len(self._processes) >= PROCESSES_MAX:
            self._processes.clear()
        self._processes[peer.pid, peer.started] = process
