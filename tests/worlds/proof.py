"""What tests about proofs of possession share: agents with keys, a verifier, the client's side of each proof."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from answerable.core.base64url import to_base64url
from answerable.core.identity.keys.keys import SEED_BYTES, Algorithm, SigningKey, new_private_jwk
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.proof.channel import Channel, PeerCredentials
from answerable.core.identity.proof.http_signature import SignedRequest, sign_request, signature_base
from answerable.core.identity.proof.session import (
    SESSION_TARGET,
    SessionAnswer,
    SessionKey,
    derive_key,
    encode_offer,
    ephemeral_public,
    parse_answer,
)
from answerable.core.registry.documents.documents import Agent
from answerable.core.registry.snapshot.resolve import CapabilityIndex
from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
from answerable.errors import Unverified
from answerable.flows.tokens.proof_limits import ProofLimits
from answerable.flows.tokens.verify_caller import CallerVerifier, OpenedSession
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.registry.parsing.in_force import InForce

AUTHORITY = "gateway.example:8765"
BODY = b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}'


class FixedRegistry:
    """Implements `ports.registry_store.RegistryStore` for agents that a test swaps."""

    def __init__(self, *agents: Agent) -> None:
        self.index = CapabilityIndex(())
        self.current = RegistrySnapshot(digest="")
        self.swap(*agents)

    def swap(self, *agents: Agent) -> None:
        down = {agent.name: agent for agent in agents if agent.status != "active"}
        up = {agent.name: agent for agent in agents if agent.name not in down}
        self.current = RegistrySnapshot(
            digest="", agents=MappingProxyType(up), idle_agents=MappingProxyType(down)
        )

    def documents(self) -> dict[str, bytes]:
        return {}

    def put(self, documents: dict[str, bytes], made: InForce | None = None) -> None:
        raise NotImplementedError


def new_key(seed: int | str, algorithm: Algorithm = "ed25519") -> SigningKey:
    return SigningKey(new_private_jwk(algorithm, SeededEntropy(seed).bytes(SEED_BYTES[algorithm])))


def agent(
    name: str,
    *keys: SigningKey,
    status: Literal["active", "suspended", "retired"] = "active",
    uids: tuple[int, ...] = (),
    certificates: tuple[str, ...] = (),
) -> Agent:
    return Agent(
        name=AgentId(name),
        use_case="support",
        environment="test",
        keys=tuple(key.public for key in keys),
        unix_uids=uids,
        certificates=certificates,
        status=status,
    )


def request(
    *,
    method: str = "POST",
    target: str = "/mcp",
    body: bytes = BODY,
    mandate: str = "m-1",
    host: str = AUTHORITY,
) -> SignedRequest:
    return SignedRequest(
        method=method.encode(),
        authority=host.encode(),
        target=target.encode(),
        body=body,
        mandate=mandate.encode(),
    )


def refused(verifier: CallerVerifier, message: SignedRequest, channel: Channel | None = None) -> str:
    """The step at which the message is refused; fails when it is not."""
    try:
        verifier.verify(message, channel)
    except Unverified as error:
        return error.step
    raise AssertionError("the message was accepted")


def unix(uid: int, *, connection: int = 1, sequence: int = 1) -> Channel:
    peer = PeerCredentials(pid=7, uid=uid, gid=uid, started=99)
    return Channel(connection=connection, sequence=sequence, peer=peer)


@dataclass
class ProofWorld:
    """Agent `crm` with an Ed25519 key, agent `pay` with a P-256 key, one verifier."""

    crm_key: SigningKey = field(default_factory=lambda: new_key("crm"))
    pay_key: SigningKey = field(default_factory=lambda: new_key("pay", "ecdsa-p256-sha256"))
    clock: ManualClock = field(default_factory=ManualClock)
    entropy: SeededEntropy = field(default_factory=SeededEntropy)
    limits: ProofLimits = field(default_factory=lambda: ProofLimits(authorities=frozenset({AUTHORITY})))

    def __post_init__(self) -> None:
        self.crm = agent("crm", self.crm_key, uids=(1001,), certificates=("c" * 64,))
        self.pay = agent("pay", self.pay_key, uids=(1002,))
        self.registry = FixedRegistry(self.crm, self.pay)
        self.verifier = self.restarted()

    def restarted(self, **changes: int) -> CallerVerifier:
        """A new verifier, as after a restart; time goes on."""
        limits = replace(self.limits, **changes)  # all changes in tests are numbers
        return CallerVerifier(registry=self.registry, clock=self.clock, entropy=self.entropy, limits=limits)

    def nonce(self, epoch: str | None = None) -> str:
        return f"{epoch or self.verifier.epoch}.{to_base64url(self.entropy.bytes(16))}"

    def signed(
        self,
        message: SignedRequest | None = None,
        *,
        key: SigningKey | None = None,
        nonce: str | None = None,
        created: float | None = None,
    ) -> SignedRequest:
        key = key or self.crm_key
        return sign_request(
            message or request(),
            algorithm=key.algorithm,
            keyid=key.public.thumbprint,
            created=int(self.clock.now() / 1000 if created is None else created),
            nonce=nonce or self.nonce(),
            sign=key.sign,
        )

    def session(
        self, *, key: SigningKey | None = None, verifier: CallerVerifier | None = None
    ) -> ClientSession:
        private = self.entropy.bytes(32)
        verifier = verifier or self.verifier
        handshake = self.signed(
            request(target=SESSION_TARGET.decode(), body=encode_offer(ephemeral_public(private)), mandate=""),
            key=key,
            nonce=self.nonce(verifier.epoch),
        )
        opened = verifier.open_session(handshake)
        answer = parse_answer(opened.answer)
        parameters = handshake.signature_input.removeprefix(b"answerable=")
        secret = derive_key(
            private=private,
            public=answer.x25519,
            signature_base=signature_base(handshake, parameters),
            answer=opened.answer,
        )
        return ClientSession(opened, answer, SessionKey(secret), lambda: int(self.clock.now() / 1000))


@dataclass
class ClientSession:
    opened: OpenedSession
    answer: SessionAnswer
    key: SessionKey
    now: Callable[[], int]

    def proved(
        self,
        sequence: int,
        message: SignedRequest | None = None,
        *,
        created: int | None = None,
        session: str | None = None,
    ) -> SignedRequest:
        return sign_request(
            message or request(),
            algorithm="hmac-sha256",
            keyid=session or self.answer.session,
            created=self.now() if created is None else created,
            nonce=str(sequence),
            sign=self.key.mac,
        )
