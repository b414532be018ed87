"""Map what a caller has proved possession of to its agent and, if enrolled, to its instance.

Laws: a registered key belongs to its agent, even if an instance was enrolled with it. An instance may speak only while
it, its parent and its agent are valid, which is checked for every message. An instance measured against a manifest
other than the one in force has drifted, and so has an instance whose parent has. Nothing of a trust domain without a
bundle is trusted. A caller that is not an enrolled instance was not measured: its manifest is marked as claimed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.identity.svid.x509_svid import verified_x509_svid
from answerable.core.identity.workload.attestation import matching_agent, spiffe_selectors, vouching_domain
from answerable.core.identity.workload.evidence import UNKNOWN_IDENTITY, CallerIdentity
from answerable.core.identity.workload.instance import shown_manifest
from answerable.core.registry.snapshot.directory import AgentDirectory
from answerable.errors import Malformed, Refused, Unverified, shown
from answerable.errors.codes.registry import AGENT_INACTIVE_UNVERIFIED
from answerable.errors.codes.tlog import PROOF_CHANNEL, PROOF_KEY, PROOF_MALFORMED, PROOF_SVID
from answerable.errors.codes.workloads import INSTANCE_UNVOUCHED

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.identity.proof.caller import ProofKind
    from answerable.core.identity.proof.channel import Channel
    from answerable.core.identity.svid.trust_bundle import TrustBundle
    from answerable.core.identity.svid.x509_svid import X509Svid
    from answerable.core.identity.workload.evidence import Evidence, Grade, Source
    from answerable.core.identity.workload.instance import Instance
    from answerable.core.registry.documents.documents import Agent
    from answerable.core.registry.snapshot.discovered_asset import DiscoveredAssets
    from answerable.ports.instance_register import InstanceRegister
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.trust_source import TrustSource

SVIDS_REMEMBERED_MAX: Final = 4_096
REGISTER_KEY: Final = (
    "if it is an agent of yours, add its public key to its Agent's `keys` and run `answerable apply`"
)
"""Next step for a key that no agent has."""

_parsed_id = lru_cache(maxsize=4_096)(spiffe_id)


class KnownKey(NamedTuple):
    """The agent a key belongs to. `enrolled`: the key is an instance's, which may end at any message."""

    agent: Agent
    key: PublicKey
    identity: CallerIdentity
    enrolled: bool


class KnownCallers:
    """Looks up callers. Synchronous, without I/O, thread-safe.

    `manifest_of`: digest of an agent's manifest in force, empty for none. Without it, the manifest that an instance was
    last measured against counts as in force.
    """

    def __init__(
        self,
        *,
        registry: RegistryStore,
        instances: InstanceRegister | None = None,
        trust: TrustSource | None = None,
        manifest_of: Callable[[AgentId], str] | None = None,
        sightings: DiscoveredAssets | None = None,
    ) -> None:
        self._registry = registry
        self._instances = instances
        self._trust = trust
        self._manifest_of = manifest_of
        self._sightings = sightings
        self._directory = AgentDirectory(registry.current)
        self._svids: dict[str, tuple[TrustBundle, X509Svid]] = {}

    def directory(self) -> AgentDirectory:
        """Return the directory of the registry in force."""
        snapshot = self._registry.current
        directory = self._directory
        if directory.snapshot is not snapshot:
            directory = self._directory = AgentDirectory(snapshot)
        return directory

    def by_key(self, thumbprint: str, now: UnixMillis) -> KnownKey:
        """Return the agent of a key. Raises Unverified: `key` if unknown or its instance ended, `agent` if inactive."""
        found = self.directory().by_key.get(thumbprint)
        if found is not None:
            agent, key = found
            self._active(agent.name)
            return KnownKey(agent, key, self.registered(agent.name), enrolled=False)
        instance = self._instances.by_key(thumbprint) if self._instances is not None else None
        if instance is None or instance.key is None:
            raise PROOF_KEY(f"no agent has key {thumbprint}: {REGISTER_KEY}", key=thumbprint)
        agent = self._standing(instance, now)
        return KnownKey(agent, instance.key, self._identity_of(instance), enrolled=True)

    def holder_of(self, thumbprint: str) -> str:
        """Return the agent that a key is registered for or was enrolled with, valid or not; empty for none."""
        found = self.directory().by_key.get(thumbprint)
        if found is not None:
            return found[0].name
        instance = self._instances.by_key(thumbprint) if self._instances is not None and thumbprint else None
        return instance.agent if instance is not None else ""

    def by_name(self, name: SpiffeId, now: UnixMillis) -> tuple[Agent, CallerIdentity]:
        """Return the agent of a proved SPIFFE ID: an enrolled instance, or an ID that an agent's document names.

        Raises Unverified: `key` if the instance has ended, `agent`, `channel` if no agent or several agents match.
        """
        instance = self._instances.find(name) if self._instances is not None else None
        if instance is not None:
            return self._standing(instance, now), self._identity_of(instance)
        agent = self._attested({*spiffe_selectors(name)})
        if agent is None:
            self._note(str(name), now, source=f"domain {name.trust_domain}", grade="gateway")
            raise PROOF_CHANNEL("no registered agent has this SPIFFE ID")
        return agent, self._seen(agent, "spiffe", "gateway", instance=str(name))

    def registered(self, agent: AgentId) -> CallerIdentity:
        """Return the identity of a caller that proved a key registered for its agent."""
        manifest = self._manifest_of(agent) if self._manifest_of is not None else ""
        return CallerIdentity(manifest=manifest, manifest_grade="claimed") if manifest else UNKNOWN_IDENTITY

    def by_channel(self, channel: Channel, now: UnixMillis) -> tuple[Agent, ProofKind, CallerIdentity]:
        """Return the agent of a connection.

        Raises Unverified: `proof` if the connection proves nothing, `channel` if no agent or several agents match,
        `agent`, `key` as `by_key`, `svid` if the certificate is an SVID that is not valid.
        """
        if channel.peer is not None:
            agent = self.directory().by_uid.get(channel.peer.uid)
            if agent is None:
                self._note(f"unix:uid:{channel.peer.uid}", now, grade="kernel")
                raise PROOF_CHANNEL(
                    f"not exactly one registered agent has user id {channel.peer.uid}, which this process runs under"
                )
            if agent.name not in self._registry.current.agents:
                agent = self._active(agent.name)
            manifest = self._manifest_of(agent.name) if self._manifest_of is not None else ""
            return agent, "unix_peer", _seen("unix", "kernel", manifest, "")
        if not channel.certificate:
            raise PROOF_MALFORMED(
                "the request has no proof of possession, neither in the message nor in the connection"
            )
        agent = self.directory().by_certificate.get(channel.certificate)
        if agent is not None:
            return self._active(agent.name), "mtls", self._seen(agent, "mtls", "gateway")
        return self._by_svid(channel, now)

    def _by_svid(self, channel: Channel, now: UnixMillis) -> tuple[Agent, ProofKind, CallerIdentity]:
        """Identify a connection by its SVID. An SVID of this trust domain names an instance; agents name foreign SPIFFE
        IDs and certificates in their documents."""
        measured = {f"mtls:sha256:{channel.certificate}"}
        svid, failed = None, None
        if self._trust is not None and channel.certificates:
            try:
                svid = self._svid(self._trust, channel, now)
            except (Malformed, Unverified) as error:
                failed = PROOF_SVID(error.message)
        if svid is not None:
            instance = self._instances.find(svid.id) if self._instances is not None else None
            if instance is not None:
                return self._standing(instance, now), "svid", self._identity_of(instance)
            measured.update(spiffe_selectors(svid.id))
        agent = self._attested(measured)
        if agent is None:
            if failed is None:
                self._note_peer(svid, channel, now)
            raise failed or PROOF_CHANNEL("no registered agent has the certificate of this connection")
        if svid is None:
            return agent, "mtls", self._seen(agent, "mtls", "gateway")
        identity = self._seen(agent, "spiffe", "gateway", instance=str(svid.id))
        return agent, "svid", identity

    def _note_peer(self, svid: X509Svid | None, channel: Channel, now: UnixMillis) -> None:
        """Note a peer under its domain: an issuer can invent names, so each domain has its own limit."""
        if svid is not None:
            self._note(str(svid.id), now, source=f"domain {svid.id.trust_domain}", grade="gateway")
        else:
            self._note(f"mtls:sha256:{channel.certificate}", now, source="certificates", grade="gateway")

    def _note(self, name: str, now: UnixMillis, *, grade: Grade, source: str = "local users") -> None:
        """Note an unregistered agent. Only proved names are noted, so that a caller cannot fill the list with invented
        names."""
        if self._sightings is not None:
            self._sightings.note("agent", name, now, source=source, grade=grade, how="connected")

    def _attested(self, measured: set[str]) -> Agent | None:
        directory = self.directory()
        for by_selector in (directory.by_selector, directory.idle_by_selector):
            entries = {entry for text in measured for entry in by_selector.get(text, ())}
            try:
                name = matching_agent(entries, measured)
            except Refused:
                raise PROOF_CHANNEL(
                    "several registered agents have the certificate of this connection"
                ) from None
            if name is not None:
                return self._active(name)
        return None

    def _svid(self, trust: TrustSource, channel: Channel, now: UnixMillis) -> X509Svid:
        """Return the SVID of a connection, cached until its bundle changes, because verifying is expensive."""
        remembered = self._svids.get(channel.certificate)
        if remembered is not None:
            bundle, svid = remembered
            stands = trust.bundle(svid.id.trust_domain) is bundle
            if stands and svid.not_before <= now < svid.not_after:
                return svid
        svid = verified_x509_svid(channel.certificates, bundle_of=trust.bundle, now=now)
        current = trust.bundle(svid.id.trust_domain)
        if current is not None:
            if len(self._svids) >= SVIDS_REMEMBERED_MAX:
                self._svids = {}
            self._svids[channel.certificate] = (current, svid)
        return svid

    def _standing(self, instance: Instance, now: UnixMillis) -> Agent:
        agent = self._active(instance.agent)
        if self._instances is None or not _lives(self._instances, self._trust, instance, now):
            raise PROOF_KEY("the instance or its parent has ended, has expired, or is no longer vouched for")
        return agent

    def _active(self, name: AgentId) -> Agent:
        agent = self._registry.current.agents.get(name)
        if agent is None:
            # The same code as in the walk, so that every listener gives the same one.
            raise AGENT_INACTIVE_UNVERIFIED(f"agent {shown(name)} is not active")
        return agent

    def _identity_of(self, instance: Instance) -> CallerIdentity:
        """Return an instance's identity, with a digest only while in force; a sub-agent inherits its parent's drift."""
        standing = self._manifest_of(instance.agent) if self._manifest_of is not None else None
        parent = None
        if instance.parent and self._instances is not None:
            parent = self._instances.find(_parsed_id(instance.parent))
        seen = shown_manifest(instance, parent, standing)
        return CallerIdentity(
            instance=str(instance.id),
            source=instance.evidence.source,
            grade=instance.evidence.grade,
            manifest=seen.digest,
            manifest_grade=seen.grade,
            manifest_fields=seen.fields,
            drifted=seen.drifted,
            measured=instance.manifest,
            key=instance.key.thumbprint if instance.key is not None else "",
        )

    def _seen(
        self, agent: Agent | None, source: Source, grade: Grade, *, instance: str = ""
    ) -> CallerIdentity:
        manifest = (
            self._manifest_of(agent.name) if agent is not None and self._manifest_of is not None else ""
        )
        return _seen(source, grade, manifest, instance)


@lru_cache(maxsize=4_096)
def _seen(source: Source, grade: Grade, manifest: str, instance: str) -> CallerIdentity:
    return CallerIdentity(
        instance=instance,
        source=source,
        grade=grade,
        manifest=manifest,
        # Nobody measured this caller.
        manifest_grade="claimed" if manifest else "",
    )


def instance_stands(
    instances: InstanceRegister, trust: TrustSource | None, identity: CallerIdentity, now: UnixMillis
) -> bool:
    """Whether the instance behind an earlier proved caller may still act; wiring binds this to `Verification.stands`.

    Callers known by key or channel alone are valid as long as their agent is. Callers known by a foreign SPIFFE ID are
    valid while this process has authorities of that trust domain.
    """
    if not identity.instance:
        return True
    named = _parsed_id(identity.instance)
    instance = instances.find(named)
    if instance is not None:
        return _lives(instances, trust, instance, now)
    bundle = trust.bundle(named.trust_domain) if trust is not None else None
    return identity.source == "spiffe" and bundle is not None and bool(bundle.x509_authorities)


def _is_vouched_for(trust: TrustSource | None, evidence: Evidence) -> bool:
    """Whether the trust domain whose SVID is the evidence, if any, still has authorities in this process."""
    domain = vouching_domain(evidence)
    if domain is None:
        return True
    bundle = trust.bundle(domain) if trust is not None else None
    return bundle is not None and bool(bundle.x509_authorities or bundle.jwt_authorities)


def require_vouched(trust: TrustSource, instance: Instance) -> None:
    """Raise Refused (`instance.unvouched`) if the trust domain whose SVID enrolled it is no longer trusted."""
    if not _is_vouched_for(trust, instance.evidence):
        raise INSTANCE_UNVOUCHED(
            f"instance {shown(instance.id)} was enrolled by an SVID of a trust domain that is no "
            "longer federated"
        )


def _lives(
    instances: InstanceRegister, trust: TrustSource | None, instance: Instance, now: UnixMillis
) -> bool:
    if not instance.is_live(now):
        return False
    parent = instances.find(_parsed_id(instance.parent)) if instance.parent else instance
    return parent is not None and parent.is_live(now) and _is_vouched_for(trust, parent.evidence)
