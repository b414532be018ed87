"""Assemble the trust domain: keys, authorities, attestation, instances, and their background tasks."""

from __future__ import annotations

import logging
import os
import sys
import sysconfig
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from answerable.adapters.bundle_files import FileBundle
from answerable.adapters.linux_process import LinuxProcessObserver, OwnCommand
from answerable.adapters.local_keys import LocalAuthorityKeys
from answerable.adapters.sqlite import (
    SqliteAgentUses,
    SqliteAuthorityRegister,
    SqliteInstanceRegister,
    SqliteJoinTokens,
    SqliteManifestRegister,
    SqliteSightings,
)
from answerable.core.identity.names.spiffe_id import trust_domain
from answerable.core.identity.svid.authority import TrustLimits
from answerable.core.identity.svid.federation import federation_sources
from answerable.core.identity.workload.sidecars import sidecars_in
from answerable.core.registry.manifests.manifest_token import standing_fault
from answerable.core.registry.snapshot.discovered_asset import DiscoveredAssets
from answerable.errors import AnswerableError, Unavailable
from answerable.flows.counters.note_uses import note_last_uses
from answerable.flows.recording.rounds import until_round
from answerable.flows.revocation.end_instance import follow_standing
from answerable.flows.state.stop_rules import Bell
from answerable.flows.state.verify_person import PersonVerifier
from answerable.flows.tokens.proof_limits import ProofLimits
from answerable.flows.tokens.verify_caller import CallerVerifier
from answerable.flows.trust_domain.attest_workload import AttestationTerms, Attestor
from answerable.flows.trust_domain.issue_svid import SvidIssuer
from answerable.flows.trust_domain.keep_trust_domain import TrustDomainState
from answerable.flows.trust_domain.tell_watchers import Watchers
from answerable.flows.trust_domain.workloads import WorkloadLimits, Workloads
from answerable.flows.workloads.follow_bundles import BundleFollowing
from answerable.flows.workloads.follow_manifests import follow_manifests
from answerable.flows.workloads.suspend_dormant import NOTE_SECONDS, follow_dormancy
from answerable.flows.workloads.watch_clock import watch_clock
from answerable.wiring.attestation_settings import (
    issuer_sources,
    issuer_terms,
    known_hosts,
    x509_authorities,
)
from answerable.wiring.following import keeping_sightings
from answerable.wiring.identity_lock import alone
from answerable.wiring.identity_settings import person_issuers
from answerable.wiring.settings import secret
from answerable.wiring.shards import published_sizes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from answerable.adapters.sqlite import SqliteStore
    from answerable.core.identity.names.principal import AgentId
    from answerable.core.identity.svid.federation import FederationSource
    from answerable.core.registry.manifests.manifest_token import SignedManifest
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.parts import Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.flows.workloads.change_authorities import AuthorityChanges
    from answerable.ports.authority_keys import AuthorityKeys
    from answerable.ports.bundle_endpoint import BundleEndpoint
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.ports.registry_store import RegistryStore
    from answerable.wiring.setting_tree import Settings
    from answerable.wiring.walk import Walk

TEND_SECONDS: Final = 5.0
"""Interval at which it is checked which steps of authorities are due."""
TELL_SECONDS: Final = 1.0
"""Interval at which a changed registry is looked for, to notify watchers of the Workload API."""
COMMAND: Final = "answerable"

_log: Final = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Identity:
    """Everything about workloads that the walk, the endpoints and the background tasks share.

    elsewhere: told when any process has changed the authorities. shut: why the trust domain is not open.
    """

    desk: TrustDomainState
    elsewhere: Watchers
    issuer: SvidIssuer
    attestor: Attestor
    people: PersonVerifier
    instances: SqliteInstanceRegister
    manifests: SqliteManifestRegister
    observer: LinuxProcessObserver
    sightings: SqliteSightings
    uses: SqliteAgentUses
    federation: BundleFollowing
    shut: Unavailable | None = None
    seen: DiscoveredAssets = field(default_factory=DiscoveredAssets)
    changes: Watchers = field(default_factory=Watchers)

    def workloads(self, walk: Walk, settings: Settings) -> Workloads:
        """Return what enrolling needs, over one walk."""
        return Workloads(
            recorder=walk.recorder,
            authority=walk.authority,
            verification=walk.verification,
            asking=walk.asking,
            applying=walk.applying,
            trust=self.desk,
            issuer=self.issuer,
            attestor=self.attestor,
            instances=self.instances,
            observer=self.observer,
            manifests=self.manifests,
            limits=WorkloadLimits(instance_seconds=settings.identity.instance_seconds),
            sidecars=sidecars_in(settings.identity.sidecars),
        )


class StandingDigests:
    """The digest of an agent's manifest if the manifest is valid under the present registry; empty without one.

    Evaluated once for each registry and manifest, because it is needed with every message.
    """

    def __init__(self, registry: RegistryStore, manifests: SqliteManifestRegister) -> None:
        self._registry = registry
        self._manifests = manifests
        self._judged: RegistrySnapshot | None = None
        self._digests: dict[AgentId, tuple[SignedManifest, str]] = {}

    def __call__(self, agent: AgentId) -> str:
        """Return the digest. Without I/O. Never raises."""
        signed = self._manifests.current(agent)
        if signed is None:
            # An unreadable manifest matches no running agent.
            return "unreadable" if self._manifests.is_unreadable(agent) else ""
        current = self._registry.current
        if current is not self._judged:
            self._judged, self._digests = current, {}
        known = self._digests.get(agent)
        if known is not None and known[0] is signed:
            return known[1]
        digest = signed.digest if standing_fault(signed, current) is None else ""
        self._digests[agent] = (signed, digest)
        return digest


@asynccontextmanager
async def opened_identity(
    settings: Settings, store: SqliteStore, *, clock: Clock, entropy: Entropy
) -> AsyncIterator[Identity]:
    """Open the trust domain of a data directory; create it at the first start.

    Raises Unavailable (`authority_keys.*`: its keys are missing or exposed, `register.*`), Malformed (`federation.*`,
    `ssh.*`, `issuer.url` and other faults of settings).
    """
    from answerable.adapters.oidc import HttpIssuerKeys

    wanted = settings.identity
    register, elsewhere = SqliteAuthorityRegister(store), Watchers()
    register.follow(elsewhere.tell)
    desk = TrustDomainState(
        domain=trust_domain(wanted.trust_domain),
        keys=_keys(settings),
        register=register,
        clock=clock,
        entropy=entropy,
        limits=TrustLimits(
            x509_seconds=wanted.x509_seconds,
            jwt_seconds=wanted.jwt_seconds,
            ca_seconds=wanted.authority_seconds,
            refresh_hint_seconds=wanted.refresh_hint_seconds,
        ),
    )
    shut: Unavailable | None = None
    try:
        await anyio.to_thread.run_sync(_opened_alone, settings, desk)
    except Unavailable as fault:
        # A command without a server may remove the faulty authority; a server does not start.
        shut = fault
    of_people = person_issuers(wanted)
    async with HttpIssuerKeys(issuer_sources(settings), clock=clock) as keys:
        terms = AttestationTerms(
            issuers=tuple(issuer_terms(settings)),
            authorities=x509_authorities(settings),
            ssh=known_hosts(settings),
        )
        yield Identity(
            desk=desk,
            elsewhere=elsewhere,
            shut=shut,
            issuer=SvidIssuer(desk=desk, clock=clock, entropy=entropy),
            attestor=Attestor(
                clock=clock,
                entropy=entropy,
                tokens=SqliteJoinTokens(store),
                keys=keys,
                terms=terms,
                domain=desk.domain,
                trust=desk,
            ),
            people=PersonVerifier(clock=clock, keys=keys, issuers=of_people),
            instances=SqliteInstanceRegister(store),
            manifests=SqliteManifestRegister(store),
            observer=LinuxProcessObserver(command=OwnCommand(_own_scripts(), dict(os.environ))),
            sightings=SqliteSightings(store),
            uses=SqliteAgentUses(store),
            federation=BundleFollowing(
                endpoints=[*_endpoints(settings, desk, clock)],
                bundle=desk.bundle,
                put=desk.set_federated,
                drop=desk.drop_federated,
                clock=clock,
                entropy=entropy,
            ),
        )


def verifier_of(
    identity: Identity,
    registry: RegistryStore,
    settings: Settings,
    authorities: frozenset[str],
    *,
    clock: Clock,
    entropy: Entropy,
) -> CallerVerifier:
    """Build the verifier of callers: by registered keys, instances, SVIDs and connections."""
    return CallerVerifier(
        registry=registry,
        clock=clock,
        entropy=entropy,
        limits=ProofLimits(authorities=authorities, **asdict(settings.proof)),
        instances=identity.instances,
        trust=identity.desk,
        manifest_of=StandingDigests(registry, identity.manifests),
        sightings=identity.seen,
        account=os.geteuid(),
    )


def _own_scripts() -> tuple[str, ...]:
    """Return the paths of this product's command: the one that started this process, and the one beside its
    interpreter."""
    beside = os.path.join(sysconfig.get_path("scripts"), COMMAND)
    started = os.path.abspath(sys.argv[0]) if os.path.basename(sys.argv[0]) == COMMAND else beside
    return beside, started


def require_open(identity: Identity) -> None:
    """Check that the trust domain is open, before any listener opens. Raises Unavailable (`authority_keys.*`,
    `authority.domain`) if it could not be opened."""
    if identity.shut is not None:
        raise identity.shut


async def kept_identity(
    identity: Identity, authorities: AuthorityChanges, workloads: Workloads, settings: Settings
) -> None:
    """Run rotation, federation, ends of instances, manifests, dormancy and sightings, forever. Failures are retried."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tending, authorities, identity.elsewhere)
        tasks.start_soon(_telling, identity, workloads.authority.registry, workloads.applying.policies)
        tasks.start_soon(keeping_sightings, identity.seen, identity.sightings, workloads)
        tasks.start_soon(follow_standing, workloads)
        tasks.start_soon(follow_manifests, workloads)
        tasks.start_soon(_suspending_dormant, identity, workloads, settings)
        tasks.start_soon(_following_bundles, identity)
        tasks.start_soon(watch_clock, workloads)


async def tending(
    authorities: AuthorityChanges, elsewhere: Watchers, *, seconds: float = TEND_SECONDS
) -> None:
    """Do the rotation steps that are due, and take over other processes' changes as soon as this process learns of
    them."""
    bell = Bell()
    elsewhere.add(bell.ring)
    while True:
        try:
            await authorities.tend()
        except AnswerableError as error:
            _log.error("the trust domain cannot be maintained now: %s", error.message)
        await bell.heard(seconds_max=until_round(seconds))


async def _suspending_dormant(identity: Identity, workloads: Workloads, settings: Settings) -> None:
    """Suspend dormant agents. Without shards, nobody needs the notes between two rounds."""
    wanted, shard = settings.identity, settings.ledger.shard
    await follow_dormancy(
        workloads,
        identity.uses,
        days=wanted.dormant_days,
        round_seconds=wanted.dormant_round_seconds,
        note_seconds=NOTE_SECONDS if shard else wanted.dormant_round_seconds,
        logs=partial(published_sizes, settings) if shard else dict,
    )


async def noted_at_last(identity: Identity, recorder: Recorder, settings: Settings) -> None:
    """Before this process ends, note its last uses of agents, so that other shards need not wait for its return."""
    if not settings.ledger.shard or not settings.identity.dormant_days:
        return
    try:
        await note_last_uses(recorder, identity.uses, days=settings.identity.dormant_days)
    except AnswerableError as error:
        _log.warning("the use of agents cannot be stored before the next start: %s", error.message)


async def _following_bundles(identity: Identity) -> None:
    desk = identity.desk
    while True:
        try:
            await identity.federation.drop_unlisted([one for one in desk.bundles() if one != desk.domain])
            break
        except Unavailable as error:
            _log.error("trust domains without a source cannot be dropped yet: %s", error.message)
            await anyio.sleep(until_round(TEND_SECONDS))
    await identity.federation.follow()


async def _telling(identity: Identity, registry: RegistryStore, policies: PolicyState) -> None:
    """Notify watchers when the registry changes identities; bundles notify their watchers themselves."""
    told = registry.current
    policies.registered.append(bell := Bell())
    while True:
        await bell.heard(seconds_max=until_round(TELL_SECONDS))
        if registry.current is not told:
            told = registry.current
            identity.changes.tell()


def _opened_alone(settings: Settings, desk: TrustDomainState) -> None:
    with alone(settings):
        desk.open()


def _keys(settings: Settings) -> AuthorityKeys:
    wanted = settings.identity
    if not wanted.pkcs11_module:
        return LocalAuthorityKeys.open(settings.data / "keys" / "identity")
    from answerable.adapters.pkcs11 import Pkcs11AuthorityKeys

    pin = secret(wanted.pkcs11_pin, data=settings.data).decode().strip()
    return Pkcs11AuthorityKeys.open(module=Path(wanted.pkcs11_module), token=wanted.pkcs11_token, pin=pin)


def _endpoints(settings: Settings, desk: TrustDomainState, clock: Clock) -> Iterator[BundleEndpoint]:
    for source in federation_sources(settings.identity.federation, own=desk.domain):
        yield _endpoint(source, desk, clock)


def _endpoint(source: FederationSource, desk: TrustDomainState, clock: Clock) -> BundleEndpoint:
    if source.profile == "file":
        return FileBundle(source=source)
    if source.profile == "workload_api":
        from answerable.adapters.workload_api_client import WorkloadApiBundle

        return WorkloadApiBundle(source=source)
    from answerable.adapters.bundle_http import HttpBundleEndpoint

    return HttpBundleEndpoint(source=source, bundle_of=desk.bundle, clock=clock)
