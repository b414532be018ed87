"""The token service and the gateway on one socket: registers and ledger on disk, a real upstream, agents with keys."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import anyio
import httpx2

from answerable.adapters.uvicorn_front import listen, serve
from answerable.core.approval.approval import Approval
from answerable.core.base64url import to_base64url
from answerable.core.canonical import JSONValue, encode, parse
from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.identity.keys.keys import SigningKey
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.identity.proof.dpop import dpop_proof
from answerable.core.ledger.opened import payload_of
from answerable.core.ledger.tags import Tag
from answerable.core.mandate import oauth_terms as oauth
from answerable.core.mandate.authority import Authority
from answerable.core.mandate.caveat import ResourceIn
from answerable.core.mandate.delegability import Delegability
from answerable.core.mandate.hop_signing import HopTerms, sign_hop
from answerable.core.mandate.hop_token import confirmation_of, read_hop
from answerable.core.mandate.mandate import Grant, MandateId, MandateTerms
from answerable.core.mandate.oauth_terms import (
    CLIENT_JWT_BEARER,
    GRANT_EXCHANGE,
    TYPE_DELEGATION,
    TYPE_MANDATE,
)
from answerable.flows.approval.answer_approval import answer_approval
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.main.doors import gateway_app
from answerable.sdk.proof_auth import SignatureAuth
from answerable.sdk.signing import signed_answer, signed_mandate
from answerable.testing.builders import nonce_for
from answerable.testing.samples import OWNERSHIP, document, signing_key
from answerable.wiring.assemble import Product, assembled, authorities_of
from answerable.wiring.running import kept_running
from answerable.wiring.settings import load_settings
from tests.probes.small_disk import on_a_small_disk
from tests.worlds.event_key import with_event_key
from tests.worlds.gateway import modern, modern_headers, registry, until
from tests.worlds.parts import to_apply, to_issue

AGENTS = ("orchestrator", "researcher", "writer", "stranger")
TO = Delegability(depth_max=3, width_max=2, to=("use_case:support",))
READ = {"case_id": "4711"}
FIRST_SIGHT = "[walk]\npin_tools_at_first_sight = true\n"
"""Whose tools they are is not what these tests are about."""


def documents(home: Path, *, policies: str = "", tiers: Mapping[str, int] | None = None) -> list[JSONValue]:
    """The registry of the gateway's tests with agents that hand on, and capabilities of these tiers."""
    found: list[JSONValue] = []
    policy = policies or '@id("all") permit(principal, action, resource);\n'
    for one in registry(home, ["crm"]):
        match one:
            case {"kind": "Capability", "metadata": {"name": str(name)}, "spec": dict(spec)}:
                spec["tier"] = (tiers or {}).get(name, spec["tier"])
            case {"kind": "PolicySet", "spec": dict(spec)}:
                spec["policies"] = policy
            case {"kind": "Agent"}:
                continue
        found.append(one)
    for name in AGENTS:
        found.append(agent_document(name))
    return found


def agent_document(name: str, **spec: JSONValue) -> JSONValue:
    """One agent with a registered key."""
    return document(
        "Agent",
        name,
        {
            "useCase": "support",
            "environment": "production",
            "keys": [parse(signing_key(name).public.jwk.encode())],
            "ownership": dict(OWNERSHIP),
            **spec,
        },
    )


def narrow(scopes: tuple[str, ...], parent: str, *more: Any) -> Authority:
    """These capabilities of what the holder of a token has, within its bounds and more."""
    held = read_hop(parent).authority
    return Authority(scopes=scopes, constraints=(*held.constraints, *more))


@dataclass(kw_only=True)
class TokenWorld:
    """One running deployment. url: also what the token service is called."""

    url: str
    home: Path
    product: Product
    nonces: dict[str, str] = field(default_factory=dict)
    count: int = 0

    @property
    def walk(self) -> Any:
        return self.product.walk

    def now(self) -> UnixMillis:
        return UnixMillis(self.walk.clock.now())

    async def mandate(
        self,
        *capabilities: str,
        agent: str = "orchestrator",
        identity: str = "m-1",
        seconds: int = 3_600,
        calls_max: int = 100,
        delegability: Delegability = TO,
        caveats: Mapping[str, Any] | None = None,
        budgets: tuple[tuple[str, int], ...] = (),
    ) -> str:
        """Alice gives an agent a task that it may hand on."""
        now = self.now()
        names = capabilities or ("crm.read", "crm.note")
        terms = MandateTerms(
            id=MandateId(identity),
            principal=PrincipalId("alice"),
            agent=AgentId(agent),
            use_case="support",
            purpose="Test delegation",
            grants=tuple(Grant(capability=name, caveats=(caveats or {}).get(name, ())) for name in names),
            caveats=(),
            calls_max=calls_max,
            budgets=budgets,
            not_before=now,
            expires_at=UnixMillis(now + seconds * 1000),
            delegability=delegability,
        )
        token = signed_mandate(terms, audience=self.walk.recorder.ledger.origin, key=signing_key("alice"))
        await issue_mandate(*to_issue(self.walk), token)
        return identity

    # -- the token service

    async def post(
        self,
        path: str,
        agent: str,
        form: Mapping[str, Any],
        *,
        by: str = "signature",
        dpop: SigningKey | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """A form of a client. by: how it proves who it is. dpop: the key that proves itself besides."""
        fields = dict(form)
        auth: httpx2.Auth | None = None
        if by == "assertion":
            fields |= {"client_assertion_type": CLIENT_JWT_BEARER}
            fields.setdefault("client_assertion", self.assertion(agent))
        elif by == "signature":
            auth = SignatureAuth(signing_key(agent))
        sent = {"content-type": "application/x-www-form-urlencoded", **(headers or {})}
        if dpop is not None:
            sent["dpop"] = self.proof(dpop, self.url + path)
        async with httpx2.AsyncClient(trust_env=False, auth=auth, timeout=30) as http:
            return await http.post(self.url + path, content=urlencode(fields, doseq=True), headers=sent)

    async def get(self, path: str) -> httpx2.Response:
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
            return await http.get(self.url + path)

    def assertion(self, agent: str, *, key: SigningKey | None = None, **changes: Any) -> str:
        """`private_key_jwt` (RFC 7523)."""
        self.count += 1
        now = self.now() // 1000
        claims = {
            "iss": agent, "sub": agent, "aud": self.url, "iat": now, "exp": now + 60, "jti": f"a-{self.count}",
            **changes,
        }  # fmt: skip
        return signed_statement(
            {name: value for name, value in claims.items() if value is not None},
            typ="JWT",
            key=key or signing_key(agent),
        )

    def proof(self, key: SigningKey, url: str, *, token: str = "", message: bytes | None = None) -> str:
        """A DPoP proof under the nonce that is good now."""
        self.count += 1
        nonce = self.product_nonce()
        given: dict[str, Any] = {"token": token} if token else {}
        if message is not None:
            given["message"] = message
        return dpop_proof(
            key,
            method="POST",
            url=url,
            identifier=to_base64url(b"proof-%08d" % self.count),
            issued_at=self.now() // 1000,
            nonce=nonce,
            **given,
        )

    def product_nonce(self) -> str:
        return self.nonces["now"]

    async def exchange(
        self, agent: str, subject: str, *, by: str = "signature", **form: Any
    ) -> httpx2.Response:
        """RFC 8693. A mandate's id, or a token that is asked to be handed on."""
        dpop = form.pop("dpop", None)
        given = {
            "grant_type": GRANT_EXCHANGE,
            "subject_token": subject,
            "subject_token_type": TYPE_MANDATE if subject.startswith("m-") else oauth.TYPE_ACCESS,
            "requested_token_type": TYPE_DELEGATION,
            **form,
        }
        given = {name: value for name, value in given.items() if value}
        return await self.post("/oauth/token", agent, given, by=by, dpop=dpop)

    async def root(self, mandate: str = "m-1", agent: str = "orchestrator", **form: Any) -> str:
        """The first hop of a mandate, for its agent."""
        response = await self.exchange(agent, mandate, **form)
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])

    def handed(
        self, above: tuple[str, ...], giver: str, taker: str, authority: Authority, **more: Any
    ) -> str:
        """A hop that the giver signs with its own key, away from any server."""
        self.count += 1
        now = self.now()
        given: dict[str, Any] = {
            "jti": f"offline-{self.count}",
            "agent": taker,
            "confirmation": confirmation_of(signing_key(taker).public),
            "audiences": (self.url,),
            "authority": authority,
            "issued_at": now,
            # A second may pass between two hops, and none outlives the one above.
            "expires_at": min(UnixMillis(now // 1000 * 1000 + 200_000), read_hop(above[-1]).expires_at),
        }
        return sign_hop(above, HopTerms(**{**given, **more}), key=signing_key(giver))

    # -- the gateway

    async def call(
        self,
        agent: str,
        tool: str = "customer_read",
        arguments: Any = None,
        *,
        chain: tuple[str, ...] = (),
        mandate: str = "",
        meta: bool = False,
        dpop: bool = False,
        scheme: str = "DPoP",
        key: SigningKey | None = None,
        server: str = "crm",
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> httpx2.Response:
        """One action. meta: the chain is in the message; dpop: its last token is in `Authorization`. transport: from
        where it is sent."""
        text = "~".join(chain)
        params: dict[str, Any] = {"name": tool, "arguments": READ if arguments is None else arguments}
        if meta:
            params["_meta"] = {"answerable/delegation": text}
        body = modern("tools/call", params)
        named = {name.replace("_", "-"): value for name, value in modern_headers("tools/call", tool).items()}
        headers = {
            "content-type": "application/json", "accept": "application/json, text/event-stream", **named,
        }  # fmt: skip
        auth: httpx2.Auth | None = SignatureAuth(key or signing_key(agent), mandate=mandate)
        url = f"{self.url}/mcp/{server}"
        if dpop:
            auth = None
            headers["authorization"] = f"{scheme} {chain[-1]}"
            headers["dpop"] = self.proof(key or signing_key(agent), url, token=chain[-1], message=body)
            text = "~".join(chain[:-1])
        if text and not meta:
            headers["answerable-delegation"] = text
        async with httpx2.AsyncClient(trust_env=False, auth=auth, timeout=30, transport=transport) as http:
            return await http.post(url, content=body, headers=headers)

    async def at_once(self, act: Callable[[], Coroutine[Any, Any, None]], *, times: int) -> None:
        """Many of the same in one moment."""
        async with anyio.create_task_group() as tasks:
            for _ in range(times):
                tasks.start_soon(act)

    async def approve(self, approval: Approval, by: str = "bob") -> None:
        """Bob says yes to exactly this."""
        token = signed_answer(
            approval,
            nonce=nonce_for(self.walk.asking.openings, self.walk.clock, self.walk.entropy, approval),
            by=PrincipalId(by),
            verdict="approve",
            audience=self.walk.recorder.ledger.origin,
            at=self.now(),
            key=signing_key(by),
        )
        await answer_approval(
            self.walk.recorder, self.walk.authority, self.walk.asking, self.walk.counters, approval.id, token
        )

    # -- the ledger

    def entries(self, *tags: Tag) -> list[dict[str, Any]]:
        """Leaves of these types, with their index."""
        found = [(stored.index, json.loads(stored.leaf)) for stored in self.walk.recorder.ledger.replay()]
        return [{"index": index, **leaf} for index, leaf in found if not tags or leaf["tag"] in tags]

    def everything(self) -> bytes:
        """Every leaf and every opened field, as one text to look for something in."""
        parts: list[bytes] = []
        for stored in self.walk.recorder.ledger.replay():
            leaf = json.loads(stored.leaf)
            parts += [
                stored.leaf,
                encode(payload_of(stored, leaf, self.walk.recorder.subject_keys.find) or {}),
            ]
        return b"\n".join(parts)


def outcome_of(response: httpx2.Response) -> Any:
    """What came of an action: the JSON-RPC result or error."""
    text = response.text
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
        text = lines[-1]
    message = json.loads(text)
    return message.get("result", message)


def succeeded(response: httpx2.Response) -> bool:
    """Whether the tool was called and said that it went well."""
    found = outcome_of(response) if response.status_code == 200 else {"error": response.status_code}
    return "error" not in found and not found.get("isError", False)


def why_not(response: httpx2.Response) -> str:
    """Everything that the caller was told of a refusal."""
    assert not succeeded(response), response.text
    return response.text


def case_only(*cases: str) -> dict[str, Any]:
    """Caveats by capability: these cases and no others."""
    return {name: (ResourceIn(ids=cases),) for name in ("crm.read", "crm.note")}


@asynccontextmanager
async def token_world(
    home: Path,
    *,
    settings: str = "",
    policies: str = "",
    tiers: Mapping[str, int] | None = None,
    port: int = 0,
) -> AsyncIterator[TokenWorld]:
    """Everything up, with doors as `answerable up` opens them. port: that of an earlier world, to go on with it."""
    place = home / "house"
    place.mkdir(mode=0o700, exist_ok=True)
    written = f"[gateway]\nport = 0\n{FIRST_SIGHT}{settings}"
    (place / "answerable.toml").write_text(on_a_small_disk(written))
    if "[announcing]" in settings:
        with_event_key(place)
    loaded = load_settings(place)
    sockets = listen(tcp=("127.0.0.1", port))
    address = sockets.tcp_address
    assert address is not None
    started, stop = anyio.Event(), anyio.Event()
    async with assembled(loaded, authorities=authorities_of(loaded, address), address=address) as product:
        await apply_registry(
            *to_apply(product.walk), documents(home, policies=policies, tiers=tiers), by="operator"
        )
        app = gateway_app(loaded, product)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kept_running, product, loaded)
            tasks.start_soon(
                lambda: serve(app, listeners=sockets, started=lambda _: started.set(), stop=stop)
            )
            await started.wait()
            await until(lambda: bool(product.upstream.states()), seconds=20)
            assert await product.upstream.ready(seconds_max=20) == ()
            world = TokenWorld(url=f"http://127.0.0.1:{address[1]}", home=home, product=product)
            answer = await world.post("/oauth/introspect", "orchestrator", {"token": "x"})
            world.nonces["now"] = answer.headers["dpop-nonce"]
            yield world
            stop.set()
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
