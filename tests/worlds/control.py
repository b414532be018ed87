"""A small company with real parts on disk, for the tests of the control API and of the command line."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio

from answerable.adapters.cedar import compiled
from answerable.adapters.cedar.asking import compiled_asking
from answerable.adapters.local_keys import open_or_create_key, open_or_create_secret
from answerable.adapters.memory.approval_channel import MemoryApprovalChannel
from answerable.adapters.memory.upstream import MemoryUpstream
from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteEpochs,
    SqliteHoldRegister,
    SqliteMandateRegister,
    SqliteManifestRegister,
    SqliteOpeningRegister,
    SqlitePolicyRegister,
    SqliteRegistryStore,
    SqliteRevocationRegister,
    SqliteSightings,
    SqliteStore,
    SqliteSubjectKeys,
)
from answerable.adapters.sqlite.subject_keys import ROOT_BYTES
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.adapters.tlog_files import PublishedFiles, TlogFilesLedger
from answerable.adapters.uvicorn_front import serve
from answerable.apps.control_api.application import control_app
from answerable.core.action.request import action_request
from answerable.core.base64url import from_base64url_32
from answerable.core.canonical import JSONValue, encode
from answerable.core.identity.keys.keys import SigningKey, new_private_jwk
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.core.ledger.answer import Answer
from answerable.core.tlog.note import VerifierKey
from answerable.flows.ledger.gather_cosignatures import WitnessState
from answerable.flows.registry.apply_registry import policy_text
from answerable.flows.state.parts import AskingState, AuthorityRegisters, Recorder
from answerable.flows.state.policy_desk import PolicyState
from answerable.flows.state.worlds import Verification
from answerable.flows.walk.govern_action import govern_action
from answerable.flows.workloads.change_authorities import AuthorityChanges
from answerable.flows.workloads.follow_bundles import BundleFollowing
from answerable.ports.published_log import PublishedLog
from answerable.sdk.keyfile import create_key
from answerable.testing.memory_ledger import MemoryLedger
from answerable.testing.registers import fresh_store, fresh_subject_keys
from answerable.testing.tool_pins import ApprovedAsSeen
from answerable.wiring.policies import policy_desk
from answerable.wiring.searches_here import SearchesHere
from answerable.wiring.setting_tree import Settings
from answerable.wiring.settings import load_settings
from answerable.wiring.walk import Walk
from tests.worlds.enrolment import workloads_over
from tests.worlds.event import no_streams
from tests.worlds.parts import NO_SEARCHES, to_govern
from tests.worlds.published_memory import PublishedMemory

ORIGIN = "example.test/ledger"

_OWNERSHIP = "{owner: ada, backupOwner: bela, approverGroup: support-leads, auditLevel: full, reviewDate: '2099-01-01'}"

REGISTRY = f"""\
apiVersion: answerable/v1
kind: Principal
metadata: {{name: ada}}
spec: {{displayName: Ada, groups: [support-leads], keyFile: ada.pub.jwk}}
---
apiVersion: answerable/v1
kind: Principal
metadata: {{name: bela}}
spec: {{displayName: Bela, groups: [support-leads], keyFile: bela.pub.jwk}}
---
apiVersion: answerable/v1
kind: Principal
metadata: {{name: chen}}
spec: {{displayName: Chen, groups: [support-leads], keyFile: chen.pub.jwk}}
---
apiVersion: answerable/v1
kind: UseCase
metadata: {{name: support}}
spec:
  purpose: Answer customers
  ownership: {_OWNERSHIP}
---
apiVersion: answerable/v1
kind: Agent
metadata: {{name: support-agent}}
spec:
  useCase: support
  environment: production
  unixUids: [0]
  ownership: {_OWNERSHIP}
---
apiVersion: answerable/v1
kind: Server
metadata: {{name: crm}}
spec: {{command: sh}}
---
apiVersion: answerable/v1
kind: Capability
metadata: {{name: crm.read}}
spec:
  title: Read a case
  server: crm
  target: case_read
  kind: read
  environment: production
  tier: 1
  sensitivity: internal
  resource: {{type: Case, argument: case}}
  arguments: [{{name: case, type: string, required: true}}]
  ownership: {_OWNERSHIP}
---
apiVersion: answerable/v1
kind: Capability
metadata: {{name: crm.delete}}
spec:
  title: Delete a case
  server: crm
  target: case_delete
  kind: delete
  environment: production
  tier: 3
  sensitivity: internal
  resource: {{type: Case, argument: case}}
  arguments: [{{name: case, type: string, required: true}}]
  ownership: {_OWNERSHIP}
---
apiVersion: answerable/v1
kind: MandateTemplate
metadata: {{name: one-case}}
spec:
  useCase: support
  agent: support-agent
  purpose: Work on case {{case}}
  parameters: [{{name: case, pattern: "[0-9]{{4}}"}}]
  grants:
    - {{capability: crm.read, resources: ["{{case}}"]}}
    - {{capability: crm.delete, resources: ["{{case}}"]}}
  environment: production
  callsMax: 5
  ttlSeconds: 600
---
apiVersion: answerable/v1
kind: PolicySet
metadata: {{name: main}}
spec:
  policies: |
    @id("on-task")
    @reason("for the task at hand")
    permit(principal, action, resource);

    @id("delete-needs-two")
    @reason("two leads must agree to a deletion")
    @approve("support-leads:2")
    forbid(principal, action in Action::"delete", resource);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """registry: directory of YAML files and public keys. data: where the product keeps everything."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def registry(self) -> Path:
        return self.root / "registry"

    def key(self, person: str) -> Path:
        return self.root / f"{person}.jwk"

    def settings(self) -> Settings:
        return load_settings(self.data)


def made_world(root: Path) -> World:
    """People with keys, and their registry as a file; nothing is applied yet."""
    world = World(root=root)
    world.registry.mkdir()
    for number, person in enumerate(("ada", "bela", "chen")):
        key = create_key(world.key(person), seed=bytes([number + 1]) * 32)
        (world.registry / f"{person}.pub.jwk").write_text(key.public.jwk)
    (world.registry / "registry.yaml").write_text(REGISTRY)
    return world


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What the control API asks for, on files in the data directory."""

    walk: Walk
    log_key: str
    published: PublishedLog
    workloads: Any = None
    identity: Any = None
    authorities: Any = None
    events: Any = None
    searches: Any = NO_SEARCHES
    unreadable_rows: Any = tuple
    registers_told: Any = tuple
    beside: Any = frozenset
    shard_states: Any = tuple
    witnesses: tuple[WitnessState, ...] = (
        WitnessState(name="local", state="ok", size=3, cosigned_at=1_795_000_000_000),
        WitnessState(name="new.example/w"),
    )

    def checkpoint(self) -> str:
        return self.walk.recorder.ledger.seal()

    def policy(self) -> str:
        return f"log {self.log_key}\nquorum none\n"

    def server_states(self) -> Mapping[str, str]:
        return {"crm": "running"}

    def witness_states(self) -> tuple[WitnessState, ...]:
        return self.witnesses


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Product]:
    """The product on real registers and a real ledger; only the upstream is in memory."""
    clock, entropy = SystemClock(), SystemEntropy()
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = open_or_create_key(settings.data / "keys" / "log.jwk", entropy=entropy)
    log_key = _log_key(key)
    store = SqliteStore.open(settings.registers.database)
    root = open_or_create_secret(settings.data / "keys" / "subjects.key", count=ROOT_BYTES, entropy=entropy)
    subject_keys = SqliteSubjectKeys.open(settings.registers.subject_keys, root=root, entropy=entropy)
    registry = SqliteRegistryStore(store)
    async with TlogFilesLedger.open(
        settings.ledger.directory, key=log_key, sign=key.sign, clock=clock
    ) as ledger:
        upstream, revocations = _upstream(clock), SqliteRevocationRegister(store, clock=clock)
        walk = Walk(
            clock=clock, entropy=entropy, limits=settings.walk,
            recorder=Recorder(ledger=ledger, subject_keys=subject_keys),
            authority=AuthorityRegisters(
                registry=registry, mandates=SqliteMandateRegister(store),
                approvals=SqliteApprovalRegister(store), manifests=SqliteManifestRegister(store),
                revocations=revocations, holds=SqliteHoldRegister(store, revocations),
            ),
            asking=AskingState(openings=SqliteOpeningRegister(store), channel=MemoryApprovalChannel()),
            verification=Verification(
                upstream=upstream, pins=ApprovedAsSeen(registry, upstream), epochs=SqliteEpochs(revocations),
            ),
            policies=policy_desk(
                settings, store, compile_policies=compiled,
                decision_point=compiled(policy_text(registry.current), registry.current),
            ),
        )  # fmt: skip
        published = PublishedFiles(settings.ledger.directory)
        yield Product(
            walk=walk, log_key=log_key.formatted(), published=published, events=no_streams(walk, store)
        )
    subject_keys.close()
    store.close()


def memory_product() -> Product:
    """The same, with a ledger in memory and everything still to be applied."""
    clock, store, key = SystemClock(), fresh_store(), SigningKey(new_private_jwk("ed25519", bytes(32)))
    log_key, registry = _log_key(key), SqliteRegistryStore(store)
    ledger = MemoryLedger(key=log_key, sign=key.sign, clock=clock)
    upstream, revocations = _upstream(clock), SqliteRevocationRegister(store, clock=clock)
    walk = Walk(
        clock=clock, entropy=SystemEntropy(),
        recorder=Recorder(ledger=ledger, subject_keys=fresh_subject_keys()),
        authority=AuthorityRegisters(
            registry=registry, mandates=SqliteMandateRegister(store),
            approvals=SqliteApprovalRegister(store), manifests=SqliteManifestRegister(store),
            revocations=revocations, holds=SqliteHoldRegister(store, revocations),
        ),
        asking=AskingState(openings=SqliteOpeningRegister(store), channel=MemoryApprovalChannel()),
        verification=Verification(
            upstream=upstream, pins=ApprovedAsSeen(registry, upstream, store=store),
            epochs=SqliteEpochs(revocations),
        ),
        policies=PolicyState(
            decision_point=compiled(policy_text(registry.current), registry.current),
            compile_policies=compiled, records=SqlitePolicyRegister(store), compile_asking=compiled_asking,
        ),
    )  # fmt: skip
    published, workloads = PublishedMemory(ledger, log_key), workloads_over(walk, store=store)
    return Product(
        walk=walk, log_key=log_key.formatted(), published=published, workloads=workloads,
        identity=identity_over(workloads, store), authorities=AuthorityChanges(walk.recorder, workloads.trust),
        events=no_streams(walk, store),
    )  # fmt: skip


def identity_over(workloads: Any, store: SqliteStore) -> Any:
    """What the control API asks of a trust domain beside its workloads."""
    desk, recorder = workloads.trust, workloads.recorder
    federation = BundleFollowing(
        endpoints=[], bundle=desk.bundle, put=desk.set_federated, drop=desk.drop_federated, clock=recorder.clock,
        entropy=recorder.entropy,
    )  # fmt: skip
    return SimpleNamespace(desk=desk, federation=federation, sightings=SqliteSightings(store))


def _log_key(key: SigningKey) -> VerifierKey:
    public = from_base64url_32(json.loads(key.public.jwk)["x"])
    assert public is not None
    return VerifierKey.ed25519(ORIGIN, public)


def _upstream(clock: SystemClock) -> MemoryUpstream:
    async def answered(_: dict[str, JSONValue]) -> dict[str, JSONValue]:
        return {"content": []}

    return MemoryUpstream(clock=clock, tools={"case_read": answered, "case_delete": answered})


@asynccontextmanager
async def offline_control(settings: Settings) -> AsyncIterator[Any]:
    """As that of `answerable.main`."""
    async with opened(settings) as made:
        product = replace(made, searches=SearchesHere(settings, made.walk.recorder.ledger))
        yield control_app(product, body_bytes_max=settings.control.body_bytes_max)


async def asked(product: Product, target: str, case: str, mandate: str) -> Answer:
    """One action of the support agent, as the gateway would hand it to the walk."""
    digest = hashlib.sha256(encode({"case": case, "target": target})).digest()
    request = action_request(
        server="crm", method="tools/call", target=target, arguments={"case": case}, mandate_id=mandate,
        reason="the customer asked", message_digest=digest,
    )  # fmt: skip
    caller = VerifiedCaller(
        agent=AgentId("support-agent"), proof="unix_peer", binding="uid 0", sequence=1, message_digest=digest,
        at=product.walk.clock.now(),
    )  # fmt: skip
    return await govern_action(*to_govern(product.walk), request, caller)


@contextmanager
def serving(world: World) -> Iterator[Running]:
    """A server on the control socket of this world, in a thread of its own."""
    running = Running()
    thread = threading.Thread(target=anyio.run, args=(_served, world, running), name="control server")
    thread.start()
    try:
        assert running.started.wait(20), "the server did not start"
        yield running
    finally:
        running.stop()
        thread.join(20)
        assert not thread.is_alive()


class Running:
    """A started server: its product, and a way to run something in its event loop."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.product: Product | None = None
        self._token: Any = None
        self._stop: anyio.Event | None = None

    def begun(self, product: Product, stop: anyio.Event) -> None:
        self.product, self._stop = product, stop
        self._token = anyio.lowlevel.current_token()
        self.started.set()

    def call(self, function: Any, *arguments: Any) -> Any:
        return anyio.from_thread.run(function, self.product, *arguments, token=self._token)

    def stop(self) -> None:
        if self._stop is not None:
            anyio.from_thread.run_sync(self._stop.set, token=self._token)


async def _served(world: World, running: Running) -> None:
    settings = world.settings()
    async with opened(settings) as one:
        product = replace(one, searches=SearchesHere(settings, one.walk.recorder.ledger))
        begun = partial(running.begun, product, stop := anyio.Event())
        await serve(control_app(product), uds=settings.control.socket, started=lambda _: begun(), stop=stop)
