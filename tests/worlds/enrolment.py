"""Workloads with real parts: a walk, a trust domain in memory, and processes that tests invent or really start."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx2

from answerable.adapters.linux_process.observer import LinuxProcessObserver
from answerable.adapters.local_keys import LocalAuthorityKeys
from answerable.adapters.mcp_upstream.settings import UpstreamSettings
from answerable.adapters.mcp_upstream.upstream import McpUpstream
from answerable.adapters.sqlite import (
    SqliteAuthorityRegister,
    SqliteInstanceRegister,
    SqliteJoinTokens,
    SqliteStore,
)
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.adapters.uvicorn_front import Listeners, serve
from answerable.apps.enrolment.application import enrolment_app
from answerable.apps.enrolment.services import PREFIX, EnrolmentServices
from answerable.apps.mcp_gateway.gateway import Gateway
from answerable.core.canonical import JSONValue
from answerable.core.identity.keys.keys import PublicKey, SigningKey, new_private_jwk
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.identity.names.spiffe_id import trust_domain
from answerable.core.identity.svid.authority import TrustLimits
from answerable.core.identity.workload.enrolment import enrolment_proof
from answerable.core.identity.workload.evidence import Evidence
from answerable.core.identity.workload.sidecars import sidecars_in
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import Grant, MandateId, MandateTerms
from answerable.core.mandate.token import signed
from answerable.core.registry.manifests.manifest import Manifest
from answerable.core.registry.manifests.manifest_token import signed_manifest
from answerable.errors import Unverified
from answerable.flows.tokens.proof_limits import ProofLimits
from answerable.flows.tokens.verify_caller import CallerVerifier
from answerable.flows.trust_domain.attest_workload import AttestationTerms, Attestor
from answerable.flows.trust_domain.issue_svid import SvidIssuer
from answerable.flows.trust_domain.keep_trust_domain import TrustDomainState
from answerable.flows.trust_domain.workloads import WorkloadLimits, Workloads
from answerable.flows.workloads.register_manifest import register_manifest
from answerable.ports.process_observer import ProcessFacts
from answerable.sdk.enrolment import EnrolmentClient
from answerable.sdk.gateway_address import open_client
from answerable.sdk.signing import signed_mandate
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.registers import fresh_keys, fresh_store
from answerable.testing.samples import signing_key
from answerable.wiring.walk import Walk
from tests.worlds.gateway import needs_of, registry, walk_of

DOMAIN = trust_domain("example.test")
UNIX = {"type": "unix"}
UID = "unix:uid:1000"
PATH = "unix:path:/opt/scout"


class NoIssuers:
    """Port IssuerKeys: nobody issues tokens here."""

    async def key_set(self, issuer: str, *, kid: str) -> None:
        return None


@dataclass(slots=True)
class InventedProcesses:
    """Port ProcessObserver over processes that a test makes up. facts: by pid; a process that is taken out is gone."""

    facts: dict[int, ProcessFacts] = field(default_factory=dict)

    def start(self, pid: int, *, uid: int = 1000, path: str = "/opt/scout", life: int = 1) -> ProcessFacts:
        self.facts[pid] = ProcessFacts(process=f"boot:{pid}:{life}", uid=uid, gid=uid, path=path)
        return self.facts[pid]

    def observe(self, pid: int, *, started: int, pidfd: int | None = None) -> ProcessFacts:
        found = self.facts.get(pid)
        if found is None or not found.process.endswith(f":{started}"):
            raise Unverified("the process is gone", code="process.gone", step="attestation")
        return found

    def started(self, pid: int) -> int:
        return int(self.facts[pid].process.rpartition(":")[2])

    def is_alive(self, process: str) -> bool:
        return any(one.process == process for one in self.facts.values())


def attested_documents(
    attestation: dict[str, list[list[str]]] | None = None, **spec: Any
) -> list[dict[str, Any]]:
    """The bench's registry, in which scout is what runs as user 1000 from its path and rover what runs as 2000."""
    sets: dict[str, Any] = attestation or {"scout": [[PATH, UID]], "rover": [["unix:uid:2000"]]}
    found: list[dict[str, Any]] = []
    for document in bench_documents():
        assert isinstance(document, dict)
        assert isinstance(document["metadata"], dict)
        assert isinstance(document["spec"], dict)
        name = document["metadata"]["name"]
        if document["kind"] == "Agent" and name in sets:
            document = {**document, "spec": {**document["spec"], "attestation": sets[name], **spec}}
        found.append(document)
    return found


def workloads_over(
    walk: Walk,
    *,
    observer: Any = None,
    limits: WorkloadLimits | None = None,
    sidecars: tuple[str, ...] = ("unix",),
    store: SqliteStore | None = None,
) -> Workloads:
    """Everything for enrolling over any walk, with registers in a store of its own unless one is given. sidecars: as in
    the settings; local processes unless said otherwise, so that tests of what follows from a measurement need no
    program of ours."""
    clock, entropy, store = walk.clock, walk.entropy, store or fresh_store()
    desk = TrustDomainState(
        domain=DOMAIN,
        keys=fresh_keys(LocalAuthorityKeys),
        register=SqliteAuthorityRegister(store),
        clock=clock,
        entropy=entropy,
        limits=TrustLimits(),
    )
    desk.open()
    attestor = Attestor(
        clock=clock,
        entropy=entropy,
        tokens=SqliteJoinTokens(store),
        keys=NoIssuers(),
        terms=AttestationTerms(),
        domain=DOMAIN,
        trust=desk,
    )
    return Workloads(
        recorder=walk.recorder,
        authority=walk.authority,
        verification=walk.verification,
        asking=walk.asking,
        applying=walk.applying,
        trust=desk,
        issuer=SvidIssuer(desk=desk, clock=clock, entropy=entropy),
        attestor=attestor,
        instances=SqliteInstanceRegister(store),
        observer=observer or InventedProcesses(),
        manifests=walk.authority.manifests,
        limits=limits or WorkloadLimits(),
        sidecars=sidecars_in(sidecars),
    )


async def enrolling(
    documents: Any = None,
    *,
    limits: WorkloadLimits | None = None,
    sidecars: tuple[str, ...] = ("unix",),
) -> tuple[Bench, Workloads]:
    """A bench whose agents have attestation, and workloads over its walk."""
    bench = await Bench().registered(documents or attested_documents())
    return bench, workloads_over(bench.walk, limits=limits, sidecars=sidecars)


def evidence_of(*selectors: str) -> Evidence:
    """As the kernel would have measured it; of scout unless said otherwise."""
    return Evidence(
        source="unix", grade="kernel", selectors=tuple(sorted(selectors or (PATH, UID, "unix:gid:1000")))
    )


def key_of(name: str) -> PublicKey:
    """The public half of a key that follows from its name."""
    return signing_key(name).public


def with_status(documents: list[dict[str, Any]], agent: str, status: str) -> list[Any]:
    """The documents with one agent in another state."""
    found: list[Any] = []
    for one in documents:
        if one["kind"] == "Agent" and one["metadata"]["name"] == agent:
            one = {**one, "spec": {**one["spec"], "status": status}}
        found.append(one)
    return found


@dataclass(slots=True, kw_only=True)
class Served:
    """A gateway and the enrolment door on one address, in this event loop, with an upstream that really runs."""

    url: str
    uds: Path
    walk: Walk
    workloads: Workloads
    prover: CallerVerifier

    def entries(self, tag: Tag) -> list[dict[str, Any]]:
        """What the ledger holds of this kind."""
        leaves = [json.loads(stored.leaf) for stored in self.walk.recorder.ledger.replay()]
        return [leaf for leaf in leaves if leaf["tag"] == tag]

    def mandate(self, *capabilities: str, agent: str = "scout", identity: str = "m-1") -> str:
        """Alice lets an agent use these capabilities for a while."""
        now = self.walk.clock.now()
        terms = MandateTerms(
            id=MandateId(identity),
            principal=PrincipalId("alice"),
            agent=AgentId(agent),
            use_case="support",
            purpose="Test enrolment",
            grants=tuple(Grant(capability=name) for name in capabilities),
            caveats=(),
            calls_max=1000,
            not_before=now,
            expires_at=UnixMillis(now + 600_000),
        )
        token = signed_mandate(terms, audience=self.walk.recorder.ledger.origin, key=signing_key("alice"))
        self.walk.authority.mandates.add(signed(terms, token))
        return identity

    @asynccontextmanager
    async def client(self, *, uds: bool = False) -> AsyncIterator[EnrolmentClient]:
        """A workload's client: in this process, which the kernel knows over the Unix socket."""
        http, base = open_client(f"unix:{self.uds}" if uds else self.url)
        async with http:
            yield EnrolmentClient(http, base)

    async def post(
        self,
        name: str,
        body: Any,
        *,
        auth: httpx2.Auth | None = None,
        kind: str = "application/json",
        **more: str,
    ) -> Any:
        """One request over TCP as an attacker would send it: status and body of the answer."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with httpx2.AsyncClient(trust_env=False, auth=auth, timeout=30) as http:
            fields = {"content-type": kind, **more}
            response = await http.post(f"{self.url}/identity/v1/{name}", content=content, headers=fields)
        return response.status_code, response.json()


async def sign_manifest(walk: Walk, prompt: bytes) -> None:
    """Alice says what scout is made of."""
    manifest = Manifest(
        agent=AgentId("scout"),
        prompt_digest=f"sha256:{hashlib.sha256(prompt).hexdigest()}",
        environment="production",
        tier=1,
    )
    token = signed_manifest(
        manifest, owner=PrincipalId("alice"), key=signing_key("alice"), at=walk.clock.now()
    )
    await register_manifest(
        walk.recorder, walk.authority, walk.asking.under_way, walk.live, token, by="operator"
    )


def served_documents(home: Path, attestation: dict[str, list[list[str]]], drift: str) -> list[JSONValue]:
    """The registry of the gateway's tests, with what its agents are known by."""
    found: list[JSONValue] = []
    for one in registry(home, ["crm"]):
        assert isinstance(one, dict)
        assert isinstance(one["metadata"], dict)
        assert isinstance(one["spec"], dict)
        sets: Any = attestation.get(str(one["metadata"]["name"]))
        if one["kind"] == "Agent" and sets:
            one = {**one, "spec": {**one["spec"], "attestation": sets, "drift": drift}}
        found.append(one)
    return found


@asynccontextmanager
async def served(
    home: Path,
    *,
    attestation: dict[str, list[list[str]]] | None = None,
    limits: WorkloadLimits | None = None,
    acting: bool = True,
    drift: str = "refuse",
) -> AsyncIterator[Served]:
    """Everything up. Scout is what runs as our user unless said otherwise, or brings a join token called `first`.

    acting: with an upstream, so that agents can do something.
    """
    clock = SystemClock()
    upstream = McpUpstream(clock=clock, settings=UpstreamSettings())
    ours = {"scout": [[f"unix:uid:{os.getuid()}"], ["join_token:name:first"]]}
    walk = walk_of(served_documents(home, attestation or ours, drift), upstream, clock)
    upstream.apply(walk.authority.registry.current.servers.values())
    workloads = workloads_over(walk, observer=LinuxProcessObserver(), limits=limits)
    prover = CallerVerifier(
        registry=walk.authority.registry,
        clock=clock,
        entropy=SystemEntropy(),
        limits=ProofLimits(authorities=frozenset({"localhost"})),
        instances=workloads.instances,
        trust=workloads.trust,
    )
    gateway = Gateway(needs_of(walk, upstream, prover, []), None)
    door = enrolment_app(EnrolmentServices(workloads=workloads, prover=prover))

    async def both(scope: Any, receive: Any, send: Any) -> None:
        mine = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await (door if mine else gateway)(scope, receive, send)

    bound: list[Listeners] = []
    started, stop = anyio.Event(), anyio.Event()

    def note(listeners: Listeners) -> None:
        bound.append(listeners)
        started.set()

    uds = home / "gateway"
    async with anyio.create_task_group() as tasks:
        if acting:
            await tasks.start(upstream.run)
            assert await upstream.ready(seconds_max=20) == ()
        tasks.start_soon(lambda: serve(both, tcp=("127.0.0.1", 0), uds=uds, started=note, stop=stop))
        await started.wait()
        address = bound[0].tcp_address
        assert address is not None
        # The verifier takes proofs for this very authority only, which is known once the port is.
        prover._authorities |= {f"127.0.0.1:{address[1]}".encode()}
        yield Served(
            url=f"http://127.0.0.1:{address[1]}",
            uds=uds,
            walk=walk,
            workloads=workloads,
            prover=prover,
        )
        stop.set()
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


def fresh_key() -> SigningKey:
    return SigningKey(new_private_jwk("ed25519", os.urandom(32)))


def signed_body(
    challenge: str, key: SigningKey, attestation: Any = UNIX, *, domain: str = DOMAIN, **more: Any
) -> dict[str, Any]:
    """A whole request of an enrolment, proved by `key`."""
    body: dict[str, Any] = {"attestation": attestation, "key": json.loads(key.public.jwk), **more}
    proof = enrolment_proof(body, challenge=challenge, domain=trust_domain(domain), key=key)
    return {**body, "proof": proof}


async def challenge_of(world: Served, *, uds: bool = False) -> str:
    """uds: for an enrolment over the Unix socket."""
    async with world.client(uds=uds) as client:
        challenge = await client.challenge()
    return challenge.text
