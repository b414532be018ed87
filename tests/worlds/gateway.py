"""A gateway with real parts in one event loop: walk, Cedar, proofs, upstream processes and HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from answerable.adapters.cedar import compiled
from answerable.adapters.mcp_upstream.settings import UpstreamSettings
from answerable.adapters.mcp_upstream.upstream import McpUpstream
from answerable.adapters.memory.approval_channel import MemoryApprovalChannel
from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteEpochs,
    SqliteMandateRegister,
    SqliteManifestRegister,
    SqliteOpeningRegister,
    SqlitePreparedRegister,
    SqliteRegistryStore,
)
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.adapters.uvicorn_front import Listeners, serve
from answerable.apps.mcp_gateway.gateway import Gateway
from answerable.apps.mcp_gateway.services import GatewayLimits, GatewayServices, Head
from answerable.core.action.request import ActionRequest
from answerable.core.base64url import from_base64url_32
from answerable.core.canonical import JSONValue, encode, parse
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.core.ledger.answer import Answer
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import Grant, MandateId, MandateTerms
from answerable.core.mandate.token import signed
from answerable.core.tlog.note import VerifierKey
from answerable.flows.approval.open_approval import still_waits, was_asked_by
from answerable.flows.containment.refuse_held import open_stream, refuse_held
from answerable.flows.counters.door_desk import DoorDesk
from answerable.flows.registry.apply_registry import policy_text
from answerable.flows.state.parts import AskingState, AuthorityRegisters, Recorder
from answerable.flows.state.policy_desk import PolicyState
from answerable.flows.state.worlds import Verification
from answerable.flows.tokens.proof_limits import ProofLimits
from answerable.flows.tokens.verify_caller import CallerVerifier
from answerable.flows.walk.govern_action import govern_action
from answerable.flows.walk.list_capabilities import list_capabilities
from answerable.flows.walk.refuse_at_door import standing_of_caller
from answerable.sdk.proof_auth import SessionAuth, SignatureAuth
from answerable.sdk.signing import signed_mandate
from answerable.testing.memory_ledger import MemoryLedger
from answerable.testing.registers import fresh, fresh_ends, fresh_subject_keys
from answerable.testing.samples import OWNERSHIP, document, signing_key
from answerable.testing.tool_pins import ApprovedAsSeen
from answerable.wiring.walk import Walk
from tests.worlds.parts import to_govern, to_list, to_refuse

if TYPE_CHECKING:
    from answerable.errors import Refused
    from answerable.ports.upstream import Progress

HERE = Path(__file__).parents[1]
EXAMPLES = HERE.parent / "examples" / "servers"
HOSTILE, NOTICING = (HERE / "system" / f"{kind}_upstream.py" for kind in ("hostile", "noticing"))
FILES_READ = (
    "examples/servers/*.py",
    "tests/system/hostile_upstream.py",
    "tests/system/noticing_upstream.py",
)
AGENTS = ("scout", "rover")

PERMIT = '@id("on-task") @reason("for the task at hand") permit(principal, action, resource);\n'
FORBID = {
    "crm": """@id("notes-need-bob") @reason("a person reads every note first") @approve("approvers:1")
        forbid(principal, action == Action::"crm.note", resource);\n""",
    "bad": """@id("no-printing") @reason("printing wastes paper")
        forbid(principal, action == Action::"bad.printing", resource);\n""",
}
CRM = [
    ("crm.read", "tools/call", "customer_read", {"type": "Case", "argument": "case_id"}),
    ("crm.list", "tools/call", "case_list", {"type": "Desk", "fixed": "support"}),
    ("crm.note", "tools/call", "note_add", {"type": "Case", "argument": "case_id"}),
    ("crm.case", "resources/read", "crm://case/{case_id}", {"type": "Case", "argument": "case_id"}),
    ("crm.prompt", "prompts/get", "summarise_case", {"type": "Case", "argument": "case_id"}),
    ("crm.complete", "completion/complete", "summarise_case", {"type": "Desk", "fixed": "support"}),
    ("crm.follow", "resources/subscribe", "crm://case/{case_id}", {"type": "Case", "argument": "case_id"}),
    ("crm.listen", "subscriptions/listen", "crm://case/{case_id}", {"type": "Case", "argument": "case_id"}),
]
BAD = [
    "echo", "crash", "hang", "garbage", "slow", "huge", "error", "failing", "big_integer", "bad_result", "printing",
    "closed_error", "deep", "asks_input", "surrogate",
]  # fmt: skip


def capability(name: str, server: str, method: str, target: str, resource: dict[str, JSONValue]) -> JSONValue:
    return document(
        "Capability",
        name,
        {
            "server": server,
            "method": method,
            "target": target,
            "kind": "execute",
            "environment": "production",
            "tier": 1,
            "sensitivity": "internal",
            "resource": resource,
            "ownership": dict(OWNERSHIP),
        },
    )


@dataclass(slots=True, kw_only=True)
class World:
    """One running gateway. calls: what the walk was asked for, in order."""

    url: str
    uds: Path | None
    walk: Walk
    gateway: Gateway
    upstream: McpUpstream
    home: Path
    calls: list[ActionRequest] = field(default_factory=list)

    def mandate(
        self, *capabilities: str, agent: str = "scout", identity: str = "m-1", seconds: float = 600
    ) -> str:
        """Alice lets an agent use these capabilities for a while."""
        now = self.walk.clock.now()
        terms = MandateTerms(
            id=MandateId(identity), principal=PrincipalId("alice"), agent=AgentId(agent), use_case="support",
            purpose="Test the gateway", grants=tuple(Grant(capability=name) for name in capabilities),
            caveats=(), calls_max=1000, not_before=now, expires_at=UnixMillis(now + int(seconds * 1000)),
        )  # fmt: skip
        token = signed_mandate(terms, audience=self.walk.recorder.ledger.origin, key=signing_key("alice"))
        self.walk.authority.mandates.add(signed(terms, token))
        return identity

    def auth(self, *, agent: str = "scout", mandate: str = "", session: bool = False) -> httpx2.Auth:
        kind = SessionAuth if session else SignatureAuth
        return kind(signing_key(agent), mandate=mandate)

    def http(self, *, agent: str = "scout", mandate: str = "", session: bool = False) -> httpx2.AsyncClient:
        """A plain HTTP client that proves possession of the agent's key."""
        return httpx2.AsyncClient(
            auth=self.auth(agent=agent, mandate=mandate, session=session), timeout=30, trust_env=False
        )

    @asynccontextmanager
    async def client(
        self, server: str, *, mode: str = "2026-07-28", agent: str = "scout", mandate: str = "m-1",
        **more: Any,
    ) -> AsyncIterator[Client]:  # fmt: skip
        """The SDK's own client, of either era."""
        async with (
            self.http(agent=agent, mandate=mandate) as http,
            Client(
                streamable_http_client(f"{self.url}/mcp/{server}", http_client=http),
                mode=mode,
                cache=None,
                **more,
            ) as client,
        ):
            yield client

    async def post(
        self, server: str, body: bytes, *, mandate: str = "m-1", **headers: str
    ) -> httpx2.Response:
        """One message as raw bytes, as an attacker would send them, with a good proof."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http(mandate=mandate) as http:
            return await http.post(
                f"{self.url}/mcp/{server}",
                content=body,
                headers={
                    "content-type": "application/json",
                    "accept": "application/json, text/event-stream",
                    **named,
                },
            )

    def entries(self, tag: Tag) -> list[dict[str, Any]]:
        """What the ledger holds of this kind."""
        leaves = [json.loads(stored.leaf) for stored in self.walk.recorder.ledger.replay()]
        return [leaf for leaf in leaves if leaf["tag"] == tag]

    def ends(self) -> list[dict[str, Any]]:
        """How intents ended."""
        return self.entries(Tag.OUTCOME) + self.entries(Tag.INDETERMINATE)

    def effects(self) -> list[dict[str, Any]]:
        """Calls that really reached the hostile upstream."""
        path = self.home / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def lines(self, name: str) -> list[str]:
        path = self.home / name
        return path.read_text().splitlines() if path.exists() else []


async def until(condition: Callable[[], object], *, seconds: float = 5.0) -> None:
    """Wait for something that another process or task brings about."""
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - nothing here could set an event for it
            await anyio.sleep(0.02)


def modern(method: str, params: dict[str, Any] | None = None, identifier: Any = 1) -> bytes:
    """A 2026-07-28 request."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        **(params or {}).get("_meta", {}),
    }
    message = {
        "jsonrpc": "2.0",
        "id": identifier,
        "method": method,
        "params": {**(params or {}), "_meta": meta},
    }
    return json.dumps(message).encode()


def modern_headers(method: str, name: str = "") -> dict[str, str]:
    """The fields that mirror it."""
    named = {"mcp_name": name} if name else {}
    return {"mcp_protocol_version": "2026-07-28", "mcp_method": method, **named}


def registry(home: Path, servers: Collection[str]) -> list[JSONValue]:
    crm: dict[str, JSONValue] = {
        "command": sys.executable,
        "args": [str(EXAMPLES / "crm.py"), "--database", str(home / "crm.db")],
    }
    bad: dict[str, JSONValue] = {
        "command": sys.executable, "args": [str(HOSTILE), str(home)], "callSecondsMax": 2,
    }  # fmt: skip
    people = [
        document(
            "Principal",
            name,
            {"groups": ["approvers"], "keys": [parse(signing_key(name).public.jwk.encode())]},
        )
        for name in ("alice", "bob")
    ]
    use_case = document("UseCase", "support", {"purpose": "Answer customers", "ownership": dict(OWNERSHIP)})
    agents = [
        document(
            "Agent",
            name,
            {
                "useCase": "support",
                "environment": "production",
                "keys": [parse(signing_key(name).public.jwk.encode())],
                "ownership": dict(OWNERSHIP),
            },
        )
        for name in AGENTS
    ]
    policies = PERMIT + "".join(FORBID.get(server, "") for server in servers)
    found: list[JSONValue] = [
        *people,
        use_case,
        *agents,
        document("PolicySet", "house", {"policies": policies}),
    ]
    if "crm" in servers:
        found += [document("Server", "crm", crm), *(capability(n, "crm", m, t, r) for n, m, t, r in CRM)]
    if "noticing" in servers:
        thing: dict[str, JSONValue] = {"type": "Thing", "argument": "name"}
        whole: dict[str, JSONValue] = {"type": "Thing", "fixed": "it"}
        found += [
            document("Server", "noticing", {"command": sys.executable, "args": [str(NOTICING)]}),
            capability("thing.touch", "noticing", "tools/call", "touch", whole),
            capability("thing.grow", "noticing", "tools/call", "grow", whole),
            capability("thing.follow", "noticing", "resources/subscribe", "thing://{name}", thing),
            capability("thing.read", "noticing", "resources/read", "thing://{name}", thing),
            capability("thing.listen", "noticing", "subscriptions/listen", "thing://{name}", thing),
        ]
    if "bad" in servers:
        fixed: dict[str, JSONValue] = {"type": "Thing", "fixed": "it"}
        found += [document("Server", "bad", bad)]
        found += [capability(f"bad.{name}", "bad", "tools/call", name, fixed) for name in BAD]
    return found


def walk_of(documents: list[JSONValue], upstream: McpUpstream, clock: SystemClock) -> Walk:
    store = fresh(SqliteRegistryStore)
    keyed: dict[str, bytes] = {}
    for one in documents:
        assert isinstance(one, dict) and isinstance(one["metadata"], dict)  # noqa: PT018
        keyed[f"{one['kind']}/{one['metadata']['name']}"] = encode(one)
    store.put(keyed)
    key = signing_key("log")
    public = from_base64url_32(json.loads(key.public.jwk)["x"])
    assert public is not None
    revocations, holds = fresh_ends(clock)
    return Walk(
        clock=clock, entropy=SystemEntropy(),
        recorder=Recorder(
            ledger=MemoryLedger(key=VerifierKey.ed25519("example.test/log", public), sign=key.sign, clock=clock),
            subject_keys=fresh_subject_keys(),
        ),
        authority=AuthorityRegisters(
            registry=store, mandates=fresh(SqliteMandateRegister), approvals=fresh(SqliteApprovalRegister),
            manifests=fresh(SqliteManifestRegister), revocations=revocations, holds=holds,
        ),
        asking=AskingState(openings=fresh(SqliteOpeningRegister), channel=MemoryApprovalChannel()),
        verification=Verification(
            upstream=upstream, pins=ApprovedAsSeen(store, upstream), epochs=SqliteEpochs(revocations),
            prepared=fresh(SqlitePreparedRegister),
        ),
        policies=PolicyState(
            compile_policies=compiled, decision_point=compiled(policy_text(store.current), store.current),
        ),
    )  # fmt: skip


def needs_of(
    walk: Walk, upstream: McpUpstream, prover: CallerVerifier, calls: list[ActionRequest], page: str = ""
) -> GatewayServices:
    async def govern(
        request: ActionRequest, caller: VerifiedCaller, *, progress: Progress | None = None
    ) -> Answer:
        calls.append(request)
        return await govern_action(*to_govern(walk), request, caller, progress=progress)

    def standing(head: Head) -> Refused | None:
        return standing_of_caller(
            walk.authority, walk.counters.quota, head.agent, head.identity, head.key, head.certificate
        )

    return GatewayServices(
        prover=prover,
        govern=govern,
        visible=partial(list_capabilities, *to_list(walk)),
        offers=upstream,
        refuse_held=partial(refuse_held, walk.recorder.ledger, walk.authority, walk.verification),
        open_stream=partial(open_stream, walk.recorder.ledger, walk.authority, walk.live, walk.verification),
        approval_page=lambda approval: f"{page}/approvals/{approval}" if page else "",
        waits=partial(still_waits, walk.authority.approvals, walk.clock),
        asked=partial(was_asked_by, walk.authority.approvals),
        standing=standing,
        refused=DoorDesk(**to_refuse(walk), known=prover.known).at("mcp"),
    )


@asynccontextmanager
async def gateway_world(
    home: Path, *servers: str, limits: GatewayLimits | None = None, settings: UpstreamSettings | None = None,
    uds: Path | None = None, more: Iterable[JSONValue] = (), page: str = "",
) -> AsyncIterator[World]:  # fmt: skip
    """Everything up and connected. more: documents of servers beside those that are known here. page: where people
    answer."""
    clock = SystemClock()
    upstream = McpUpstream(clock=clock, settings=settings or UpstreamSettings())
    walk = walk_of([*registry(home, servers), *more], upstream, clock)
    upstream.apply(walk.authority.registry.current.servers.values())
    bound: list[Listeners] = []
    started, stop = anyio.Event(), anyio.Event()

    def note(listeners: Listeners) -> None:
        bound.append(listeners)
        started.set()

    async with anyio.create_task_group() as tasks:
        await tasks.start(upstream.run)
        assert await upstream.ready(seconds_max=20) == ()
        calls: list[ActionRequest] = []
        authorities = frozenset({"localhost", "gateway.test"})
        prover = CallerVerifier(
            registry=walk.authority.registry,
            clock=clock,
            entropy=SystemEntropy(),
            limits=ProofLimits(authorities=authorities),
        )
        gateway = Gateway(needs_of(walk, upstream, prover, calls, page), limits)
        tasks.start_soon(lambda: serve(gateway, tcp=("127.0.0.1", 0), uds=uds, started=note, stop=stop))
        await started.wait()
        address = bound[0].tcp_address
        assert address is not None
        # The verifier takes proofs for this very authority only, which is known once the port is.
        prover._authorities |= {f"127.0.0.1:{address[1]}".encode()}
        yield World(
            url=f"http://127.0.0.1:{address[1]}", uds=uds, walk=walk, gateway=gateway, upstream=upstream,
            home=home, calls=calls,
        )  # fmt: skip
        stop.set()
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
