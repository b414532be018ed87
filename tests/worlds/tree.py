"""Trees of tokens on a bench: exchanged for a mandate, for one's own token, for a consent, or signed by an agent.

For each token the world keeps, beside what the product makes of it, by which names it ends: written down as the tree
grows, and not read back from anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgspec

from answerable.core.base64url import to_base64url
from answerable.core.canonical import parse
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.workload.evidence import UNKNOWN_IDENTITY, CallerIdentity
from answerable.core.mandate import delegation_terms as terms
from answerable.core.mandate.authority import Authority
from answerable.core.mandate.delegability import Delegability
from answerable.core.mandate.hop_signing import sign_hop
from answerable.core.mandate.hop_token import confirmation_by, read_hop, signing_hash
from answerable.core.mandate.oauth_terms import TYPE_ACCESS, TYPE_DELEGATION, TYPE_MANDATE
from answerable.core.mandate.revocation import RevocationTarget, instance_names
from answerable.core.mandate.status_list import StatusList, reference_of
from answerable.errors import AnswerableError
from answerable.flows.state.known_callers import KnownCallers
from answerable.flows.state.token_desk import TokenState
from answerable.flows.tokens.authenticate_client import TokenClient
from answerable.flows.tokens.exchange_token import exchange_token
from answerable.flows.tokens.find_parent import Exchange
from answerable.flows.tokens.introspect_token import introspect_token
from answerable.flows.validity.refuse_revoked import judged_now
from answerable.flows.walk.verify_request import verify_request
from answerable.ports.token_register import TokenRegister
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.delegation import ISSUER, SERVICE
from answerable.testing.samples import OWNERSHIP, document, signing_key
from tests.worlds.delegation_lineage import asked, believing, hop, mandated
from tests.worlds.parts import to_plan

OWNERS = {"scout": "bob", "rover": "carol", "third": "carol", "fourth": "dan", "fifth": "dan"}
VENDORS = {
    "scout": ("model-maker",),
    "rover": ("rover-maker",),
    "third": ("rover-maker", "framework-maker"),
    "fourth": ("framework-maker",),
    "fifth": (),
}
AGENTS = tuple(OWNERS)
DEPTH_MAX = 5
MANIFEST = "a" * 64
INSTANCES = (
    "spiffe://example.org/agent/x/1",
    "spiffe://example.org/agent/x/1/sub-1",
    "spiffe://example.net/agent/y",
)
ANYBODY = Delegability(depth_max=DEPTH_MAX, width_max=len(AGENTS), to=("use_case:support",))


def documents(owners: dict[str, str] = OWNERS, vendors: dict[str, tuple[str, ...]] = VENDORS) -> list[Any]:
    """The bench's registry with agents of several owners and vendors."""
    found = [one for one in bench_documents() if not (isinstance(one, dict) and one["kind"] == "Agent")]
    for name, owner in owners.items():
        spec: dict[str, Any] = {
            "useCase": "support",
            "environment": "production",
            "keys": [parse(signing_key(name).public.jwk.encode())],
            "vendors": list(vendors[name]),
            "ownership": {**OWNERSHIP, "owner": owner, "backupOwner": "alice"},
        }
        found.append(document("Agent", name, spec))
    return found


@dataclass(frozen=True, kw_only=True)
class Node:
    """A chain that ends in a token of this agent's. process: what it is bound to, in place of the agent's key.

    names: by which it ends, with everything above it. issued: whether the token service made its last token.
    """

    chain: tuple[str, ...]
    agent: str
    names: frozenset[RevocationTarget]
    issued: bool
    process: str = ""

    @property
    def can_sign(self) -> bool:
        """Whether its holder has a key to sign with, and room below."""
        return not self.process and len(self.chain) <= DEPTH_MAX


@dataclass(kw_only=True)
class TreeWorld:
    """One mandate of scout's, a token service over a register, and the tokens so far."""

    bench: Bench
    desk: TokenState
    nodes: list[Node] = field(default_factory=list)
    count: int = 0

    @property
    def authority(self) -> Authority:
        return read_hop(self.nodes[0].chain[0]).authority

    async def root(self) -> Node:
        """Scout exchanges the mandate."""
        client = self.client("scout")
        wanted = Exchange(
            subject_token="m-1", subject_token_type=TYPE_MANDATE, requested_token_type=TYPE_DELEGATION
        )
        above = {
            RevocationTarget("mandate", "m-1"),
            RevocationTarget("owner", "alice"),
            RevocationTarget("key", signing_key("alice").public.thumbprint),
        }
        return await self._issued(client, wanted, frozenset(above))

    async def own(self, parent: Node) -> Node:
        """Whoever holds a token exchanges it for another one of its own."""
        client = self.client(parent.agent, process=parent.process)
        return await self._issued(client, self._wanted(parent), parent.names)

    async def consented(self, parent: Node, taker: str, *, instance: str = "") -> Node:
        """Another agent exchanges it, with what the holder signed as a consent. instance: as which it runs, and then it
        is bound to its process."""
        process = to_base64url(sha256(instance.encode()).digest()) if instance else ""
        bound = {"confirmation": confirmation_by("answerable_process", process)} if instance else {}
        consent = self._signed(parent, taker, **bound)
        identity = CallerIdentity(instance=instance, source="unix", grade="kernel", manifest=MANIFEST)
        client = self.client(taker, process=process, identity=identity if instance else UNKNOWN_IDENTITY)
        names = parent.names | {RevocationTarget("hop", signing_hash(consent))}
        return await self._issued(client, self._wanted(parent, consent=consent), names)

    def offline(self, parent: Node, taker: str, *, instance: str = "") -> Node:
        """The holder signs for another agent, away from any server. instance: as which it says that the taker runs."""
        more = {"more": {terms.INSTANCE: instance, terms.MANIFEST: MANIFEST}} if instance else {}
        token = self._signed(parent, taker, **more)
        identity = CallerIdentity(instance=instance, source="unix", grade="kernel", manifest=MANIFEST)
        names = parent.names | _names_of(token, taker, identity if instance else UNKNOWN_IDENTITY)
        node = Node(chain=(*parent.chain, token), agent=taker, names=names, issued=False)
        self.nodes.append(node)
        return node

    def client(
        self, agent: str, *, process: str = "", identity: CallerIdentity = UNKNOWN_IDENTITY
    ) -> TokenClient:
        """Who asks, having proved its key, or that it is a process."""
        key = "" if process else signing_key(agent).public.thumbprint
        return TokenClient(agent=AgentId(agent), identity=identity, method="test", key=key, process=process)

    def _wanted(self, parent: Node, consent: str = "") -> Exchange:
        return Exchange(
            subject_token=parent.chain[-1],
            subject_token_type=TYPE_ACCESS,
            chain="~".join(parent.chain[:-1]),
            consent=consent,
            requested_token_type=TYPE_DELEGATION,
        )

    async def _issued(
        self, client: TokenClient, wanted: Exchange, above: frozenset[RevocationTarget]
    ) -> Node:
        granted = await exchange_token(self.desk, client, wanted)
        names = above | _names_of(granted.token, client.agent, client.identity)
        node = Node(
            chain=tuple(granted.chain.split("~")),
            agent=client.agent,
            names=names,
            issued=True,
            process=client.process,
        )
        self.nodes.append(node)
        return node

    def _signed(self, parent: Node, taker: str, **more: Any) -> str:
        self.count += 1
        wanted = hop(self.bench, taker, self.authority, jti=f"offline-{self.count}", **more)
        return sign_hop(parent.chain, wanted, key=signing_key(parent.agent), depth_max=DEPTH_MAX)

    # -- what each of the three says

    def at_the_gateway(self, node: Node) -> bool:
        """Whether an action under it would be let on to the decision."""
        request, caller = asked(self.bench, node.chain, agent=node.agent)
        if node.process:
            caller = msgspec.structs.replace(caller, key="", process=node.process)
        try:
            judged = judged_now(
                self.bench.authority, verify_request(*to_plan(self.bench.walk), request, caller)
            )
        except AnswerableError as refused:
            if not refused.code.startswith("revoked."):
                raise
            return False
        return judged.revocation is None

    def introspected(self, node: Node) -> bool:
        """What introspection tells its holder."""
        client = self.client(node.agent, process=node.process)
        return bool(introspect_token(self.desk, client, "~".join(node.chain))["active"])

    def listed(self, node: Node) -> bool:
        """What the status list says of it."""
        uri, index = reference_of(read_hop(node.chain[-1]).raw.claims["status"])
        statuses = self.desk.tokens.statuses(int(uri.rpartition("/")[2]))
        return StatusList(bits=1, statuses=statuses).status(index) == 0


async def tree_world(register: TokenRegister) -> TreeWorld:
    """With one mandate that may be handed on, and nothing issued yet."""
    bench = await Bench().registered(documents())
    believing(bench)
    await mandated(bench, delegability=ANYBODY, calls_max=1_000)
    desk = TokenState(
        recorder=bench.walk.recorder,
        authority=bench.walk.authority,
        verification=bench.walk.verification,
        counters=bench.walk.counters,
        live=bench.walk.live,
        tokens=register,
        known=KnownCallers(registry=bench.authority.registry),
        keys=(SERVICE,),
        issuer=lambda: ISSUER,
    )
    bench.live.tokens = register
    return TreeWorld(bench=bench, desk=desk)


def _names_of(
    token: str, agent: str, identity: CallerIdentity = UNKNOWN_IDENTITY
) -> frozenset[RevocationTarget]:
    said = read_hop(token)
    found = {
        RevocationTarget("token", said.jti),
        RevocationTarget("hop", signing_hash(token)),
        RevocationTarget("agent", agent),
        RevocationTarget("key", said.confirmation.thumbprint),
        RevocationTarget("owner", OWNERS[agent]),
        RevocationTarget("owner", str(OWNERSHIP["owner"])),
        *(RevocationTarget("vendor", one) for one in VENDORS[agent]),
        *instance_names(identity.instance),
    }
    if identity.manifest:
        found.add(RevocationTarget("manifest", identity.manifest))
    return frozenset(found)
