"""What tests about instances share: a trust domain of ours, one of others, and a verifier that knows both."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.adapters.sqlite import SqliteInstanceRegister
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.names.spiffe_id import TrustDomain, agent_instance_id, spiffe_id, trust_domain
from answerable.core.identity.proof.channel import Channel
from answerable.core.identity.svid.trust_bundle import TrustBundle
from answerable.core.identity.svid.x509_svid import authority_certificate, leaf_certificate
from answerable.core.identity.workload.evidence import SELECTOR_CHARS_MAX, CallerIdentity, Evidence
from answerable.core.identity.workload.instance import Instance
from answerable.core.registry.snapshot.discovered_asset import DiscoveredAssets
from answerable.flows.tokens.verify_caller import CallerVerifier
from answerable.testing.registers import fresh
from tests.worlds.proof import ProofWorld, new_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.identity.keys.keys import SigningKey

OURS = trust_domain("answerable.test")
THEIRS = trust_domain("corp.example")
HOUR = 3_600_000
MANIFEST = "a" * 64
LARGEST_IDENTITY = CallerIdentity(
    instance="spiffe://" + "i" * (SELECTOR_CHARS_MAX - len("spiffe:id:spiffe://")),
    source="registered_key",
    grade="gateway",
    manifest="8" * 64,
    drifted=True,
)


class FixedTrust:
    """Implements `ports.trust_source.TrustSource` for bundles that a test swaps."""

    def __init__(self) -> None:
        self.found: dict[TrustDomain, TrustBundle] = {}

    def bundle(self, domain: TrustDomain) -> TrustBundle | None:
        return self.found.get(domain)

    def bundles(self) -> Mapping[TrustDomain, TrustBundle]:
        return MappingProxyType(self.found)

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        return changed


class Authority:
    """One X.509 authority of a trust domain."""

    def __init__(self, domain: TrustDomain, now: UnixMillis) -> None:
        self.domain = domain
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.now = now
        self.certificate = authority_certificate(
            domain=domain,
            key=self.key,
            serial=1,
            not_before=UnixMillis(now - HOUR),
            not_after=UnixMillis(now + 24 * HOUR),
        )

    def bundle(self) -> TrustBundle:
        return TrustBundle(trust_domain=self.domain, x509_authorities=(self.certificate,))

    def svid(self, name: str, *, life: int = HOUR, key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
        """DER; for a fresh key when none is given."""
        return leaf_certificate(
            id=spiffe_id(name),
            public_key=(key or ec.generate_private_key(ec.SECP256R1())).public_key(),
            issuer=x509.load_der_x509_certificate(self.certificate),
            serial=2,
            not_before=self.now,
            not_after=UnixMillis(self.now + life),
            sign=self.key,
        )


def shown(certificate: bytes, *, connection: int = 1, sequence: int = 1) -> Channel:
    """The connection of a client that showed this certificate in the handshake."""
    return Channel(
        connection=connection,
        sequence=sequence,
        certificate=sha256(certificate).hexdigest(),
        certificates=(certificate,),
    )


@dataclass
class InstanceWorld(ProofWorld):
    """ProofWorld with one instance of `crm`, a sub-agent of it, and authorities of two trust domains."""

    instances: SqliteInstanceRegister = field(default_factory=lambda: fresh(SqliteInstanceRegister))
    trust: FixedTrust = field(default_factory=FixedTrust)
    sightings: DiscoveredAssets = field(default_factory=DiscoveredAssets)
    instance_key: SigningKey = field(default_factory=lambda: new_key("instance"))
    sub_key: SigningKey = field(default_factory=lambda: new_key("sub"))

    def __post_init__(self) -> None:
        super().__post_init__()
        now = self.clock.now()
        self.ours, self.theirs = Authority(OURS, now), Authority(THEIRS, now)
        self.trust.found = {OURS: self.ours.bundle(), THEIRS: self.theirs.bundle()}
        self.instance = Instance(
            id=agent_instance_id(OURS, AgentId("crm"), "1" * 32),
            agent=AgentId("crm"),
            evidence=Evidence(source="unix", grade="kernel", selectors=("unix:uid:1001",)),
            enrolled_at=now,
            expires_at=UnixMillis(now + HOUR),
            key=self.instance_key.public,
            manifest=MANIFEST,
        )
        self.sub = replace(
            self.instance,
            id=agent_instance_id(OURS, AgentId("crm"), "1" * 32, sub="sub-1"),
            parent=str(self.instance.id),
            key=self.sub_key.public,
            evidence=Evidence(source="parent", grade="sidecar", selectors=()),
        )
        self.instances.add(self.instance)
        self.instances.add(self.sub)

    def restarted(self, **changes: int) -> CallerVerifier:
        """A new verifier, as after a restart; time goes on."""
        limits = replace(self.limits, **changes)
        return CallerVerifier(
            registry=self.registry,
            clock=self.clock,
            entropy=self.entropy,
            limits=limits,
            instances=self.instances,
            trust=self.trust,
            sightings=self.sightings,
        )

    def later(self, milliseconds: int) -> None:
        """Time passes, on both clocks."""
        self.clock.advance(milliseconds / 1000)
