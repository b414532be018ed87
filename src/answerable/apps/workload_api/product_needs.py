"""The product as the Workload API sees it: processes become instances, and instances get their documents."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from answerable.apps.workload_api.needs import Identity as Name
from answerable.apps.workload_api.needs import IssuedWit
from answerable.apps.workload_api.seen_strangers import SeenStrangers
from answerable.core.identity.attestation import STEP
from answerable.core.identity.jwt_svid import verified_jwt_svid
from answerable.core.identity.principal import UnixMillis
from answerable.core.identity.svid_keys import jwk_text
from answerable.errors import Refused, Unverified
from answerable.flows import hand_out_svid
from answerable.flows.enrol_workload import agent_of, enrol, renew

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from answerable.apps.workload_api.peer import PeerProcess
    from answerable.core.identity.jwt_svid import JwtSvid
    from answerable.core.identity.spiffe_id import SpiffeId, TrustDomain
    from answerable.core.identity.trust_bundle import TrustBundle
    from answerable.core.identity.x509_svid import X509Svid
    from answerable.flows.workloads import Workloads
    from answerable.ports.process_observer import ProcessFacts
    from answerable.wiring.identity import Identity

PROCESSES_MAX: Final = 65_536
"""Enrolled processes that are known by pid and start; past that all are met anew."""


class WorkloadNeeds:
    """Implements apps.workload_api.needs.Needs. Belongs to the event loop's thread."""

    def __init__(self, identity: Identity, workloads: Workloads) -> None:
        self._identity = identity
        self._workloads = workloads
        self._strangers = SeenStrangers(identity.seen, workloads.walk.clock)
        self._processes: dict[tuple[int, int], str] = {}

    @property
    def domain(self) -> TrustDomain:
        """As the door asks."""
        return self._identity.desk.domain

    async def identify(self, peer: PeerProcess) -> tuple[Name, ...]:
        """As the door asks: the process is measured each time, and keeps the instance that it has."""
        facts = await self._measured(peer)
        evidence = self._workloads.attestor.unix(facts)
        try:
            instance = await enrol(self._workloads, evidence=evidence, key=None, process=facts.process)
        except Refused as refused:
            if refused.code.startswith("attestation."):
                self._strangers.note(facts)
            raise
        self._remember(peer, facts.process)
        renewed = await renew(self._workloads, instance.id, evidence=evidence)
        return (Name(id=renewed.id, hint=renewed.agent),)

    async def may_broker(self, broker: PeerProcess, workload: PeerProcess | None) -> bool:
        """As the door asks: its agent must be registered as a broker."""
        facts = await self._measured(broker)
        return agent_of(self._workloads, self._workloads.attestor.unix(facts)).broker

    async def x509_svid(self, identity: SpiffeId, public_key: EllipticCurvePublicKey) -> X509Svid:
        """As the door asks."""
        return await hand_out_svid.x509_svid(self._workloads, identity, public_key)

    async def jwt_svid(self, identity: SpiffeId, audience: tuple[str, ...]) -> str:
        """As the door asks."""
        return await hand_out_svid.jwt_svid(self._workloads, identity, audience)

    async def wit_svid(self, identity: SpiffeId, public_key: EllipticCurvePublicKey) -> IssuedWit:
        """As the door asks."""
        jwk = jwk_text(public_key, alg="ES256")
        token = await hand_out_svid.wit_svid(self._workloads, identity, public_key, jwk)
        seconds = self._identity.desk.limits.jwt_seconds
        return IssuedWit(token=token, expires_at=UnixMillis(self.now() + seconds * 1000))

    async def judge_jwt_svid(self, token: str, *, audience: str) -> JwtSvid:
        """As the door asks."""
        return verified_jwt_svid(
            token, audience=audience, bundle_of=self._identity.desk.bundle, now=self.now()
        )

    def bundles(self) -> Mapping[TrustDomain, TrustBundle]:
        """As the door asks."""
        return self._identity.desk.bundles()

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """As the door asks."""
        ends = (self._identity.desk.watch(changed), self._identity.changes.add(changed))

        def end() -> None:
            for one in ends:
                one()

        return end

    def now(self) -> UnixMillis:
        """As the door asks."""
        return self._workloads.walk.clock.now()

    def entropy(self, size: int) -> bytes:
        """As the door asks."""
        return self._workloads.walk.entropy.bytes(size)

    async def _measured(self, peer: PeerProcess) -> ProcessFacts:
        """Raises Unavailable (`process.*`), Unverified (`process.*`)."""
        measuring = self._workloads.measuring
        async with measuring.turn(peer.uid, enrolled=self._is_enrolled(peer)):
            if peer.pidfd < 0:
                raise Unverified("the process left before its turn", code="process.gone", step=STEP)
            # A thread that outlives this call must not find another file behind the number.
            held = [os.dup(peer.pidfd)]

            def observe() -> ProcessFacts:
                pidfd = held.pop()
                try:
                    return self._workloads.observer.observe(peer.pid, started=peer.started, pidfd=pidfd)
                finally:
                    os.close(pidfd)

            try:
                return await measuring.in_thread(observe)
            finally:
                # Nobody took it where the caller left before there was a thread.
                for pidfd in held:
                    os.close(pidfd)

    def _is_enrolled(self, peer: PeerProcess) -> bool:
        process = self._processes.get((peer.pid, peer.started))
        return process is not None and self._workloads.instances.by_process(process) is not None

    def _remember(self, peer: PeerProcess, process: str) -> None:
        if len(self._processes) >= PROCESSES_MAX:
            self._processes.clear()
        self._processes[peer.pid, peer.started] = process
