"""Who is calling: from a message and its connection to a proved caller. The only maker of `VerifiedCaller`.

One of four proofs counts, and no bearer secret ever does:
- a signature per message, with a nonce that is accepted once;
- a MAC per message under the key of a session that a signed handshake opened;
- the kernel's word about the process at the other end of a Unix socket;
- the client certificate that the TLS handshake of the connection checked, pinned or an X.509-SVID.
All bind the digest of the message and a sequence number. A message that carries a proof of its own stands or falls
with it, whatever its connection could have proved.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Final

from answerable.core.identity.caller import VerifiedCaller
from answerable.core.identity.http_signature import (
    SignedRequest,
    digest_field,
    parse_signature,
    request_from_http,
    signature_base,
    unverified,
)
from answerable.core.identity.keys import verifying_key
from answerable.core.identity.replay import ConnectionSequences, ReplayMemory
from answerable.core.identity.session import (
    EPHEMERAL_BYTES,
    SESSION_TARGET,
    SequenceWindow,
    SessionAnswer,
    SessionKey,
    derive_key,
    encode_answer,
    ephemeral_public,
    parse_offer,
)
from answerable.errors import Unverified
from answerable.flows.known_callers import KnownCallers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from answerable.core.identity.channel import Channel
    from answerable.core.identity.evidence import CallerIdentity
    from answerable.core.identity.http_signature import Signature
    from answerable.core.identity.principal import AgentId, UnixMillis
    from answerable.core.registry.directory import AgentDirectory
    from answerable.core.registry.sighting import SightingBatch
    from answerable.flows.known_callers import KnownKey
    from answerable.flows.proof_limits import ProofLimits
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.ports.instance_register import InstanceRegister
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.trust_source import TrustSource


SESSIONS_PER_INSTANCE_MAX: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSession:
    """answer: body for the client, to be sent byte for byte."""

    caller: VerifiedCaller
    session: str
    answer: bytes


class _Session:
    __slots__ = ("agent", "binding", "ends_at", "enrolled", "key", "thumbprint", "used_at", "window")

    def __init__(self, *, name: str, known: KnownKey, key: SessionKey, at: float, ends_at: float) -> None:
        self.agent = known.agent.name
        self.thumbprint = known.key.thumbprint
        self.enrolled = known.enrolled
        self.key = key
        self.used_at = at
        self.ends_at = ends_at
        self.binding = f"session:{name}"
        self.window = SequenceWindow()


class CallerVerifier:
    """Synchronous, without I/O, safe for several threads. Sessions, nonces and the epoch live as long as it does.

    The epoch names this replay memory. Every signature carries it, so a message that was accepted before a restart, or
    by another process, can never be replayed here, whatever any clock says. A refusal tells the epoch (`challenge`).
    """

    def __init__(
        self,
        *,
        registry: RegistryStore,
        clock: Clock,
        entropy: Entropy,
        limits: ProofLimits,
        instances: InstanceRegister | None = None,
        trust: TrustSource | None = None,
        manifest_of: Callable[[AgentId], str] | None = None,
        sightings: SightingBatch | None = None,
        account: int | None = None,
    ) -> None:
        """manifest_of: digest of an agent's manifest in force, asked for callers that are no instance. account: user id
        of this process; agents that come from it are noted in `beside`."""
        self.known: Final = KnownCallers(
            registry=registry, instances=instances, trust=trust, manifest_of=manifest_of, sightings=sightings
        )
        self.beside: frozenset[AgentId] = frozenset()
        self._account = account
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._authorities = frozenset(name.encode("ascii") for name in limits.authorities)
        self._directory = self.known.directory()
        self._lock = Lock()
        self._memories: dict[AgentId, ReplayMemory] = {}
        self._sessions: dict[str, _Session] = {}
        self._connections = ConnectionSequences(connections_max=limits.connections_max)
        self._counts: dict[str, int] = {}
        self.epoch: Final = entropy.token()

    def challenge(self, step: str) -> str:
        """Value of the WWW-Authenticate field of every 401: what a client needs to try again."""
        return f'Answerable epoch="{self.epoch}", step="{step}"'

    def refusal_fields(self, error: Unverified, path: str = "") -> tuple[tuple[bytes, bytes], ...]:
        """Fields of a 401: what failed, and what a client needs to try again, which is the same at every path."""
        return ((b"www-authenticate", self.challenge(error.step).encode("latin-1")),)

    def answer_fields(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
        """Fields of any answer to a request with these: none, for these proofs need nothing."""
        return ()

    def counts(self) -> dict[str, int]:
        """Failures so far by step; the steps are a closed list, so strangers cannot make this grow.

        A known, active agent that learns the epoch is none of them.
        """
        with self._lock:
            return dict(self._counts)

    def receive(
        self, method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> SignedRequest:
        """`request_from_http`, with its failures counted. Raises Unverified."""
        try:
            return request_from_http(method, target, headers, body)
        except Unverified as error:
            raise self._counted(error) from None

    def verify(self, message: SignedRequest, channel: Channel | None = None) -> VerifiedCaller:
        """The proved caller of one message. Raises Unverified with the step that failed, and counts it."""
        caller = self._verified(message, channel)
        peer = channel.peer if channel is not None else None
        if peer is not None and peer.uid == self._account and caller.agent not in self.beside:
            self.beside |= {caller.agent}
        return caller

    def _verified(self, message: SignedRequest, channel: Channel | None) -> VerifiedCaller:
        if not message.signature_input and channel is not None:
            return self.verify_channel(channel, sha256(message.body).digest())
        keyid = ""
        try:
            if not message.signature_input:
                raise unverified("proof", "the message carries no proof of possession")
            signature = parse_signature(message)
            if not signature.epoch:
                return self._verify_mac(message, signature)
            keyid = signature.keyid
            return self._verify_signature(message, signature, self._known_key(signature))
        except Unverified as error:
            raise self._counted(error, keyid) from None

    def verify_channel(self, channel: Channel, digest: bytes) -> VerifiedCaller:
        """The caller that the connection proves, if any. digest: SHA-256 of the message. Raises Unverified."""
        now = self._clock.now()
        try:
            agent, proof, identity = self.known.by_channel(channel, now)
            with self._lock:
                fresh = self._connections.accept(channel.connection, channel.sequence)
            if not fresh:
                raise unverified("replay", "the connection delivered this message before")
        except Unverified as error:
            raise self._counted(error) from None
        peer = channel.peer
        if peer is not None:
            bound = f"unix:uid={peer.uid},gid={peer.gid},pid={peer.pid},started={peer.started}"
        else:
            bound = f"{proof}:{channel.certificate}"
        return VerifiedCaller(
            agent=agent.name,
            proof=proof,
            binding=f"{bound},connection={channel.connection}",
            sequence=channel.sequence,
            message_digest=digest,
            at=now,
            identity=identity,
            certificate=channel.certificate_thumbprint,
            process=channel.process,
        )

    def open_session(self, message: SignedRequest) -> OpenedSession:
        """Answer a signed handshake. Raises Unverified, and Malformed (`session.malformed`, `json.*`)."""
        keyid = ""
        try:
            if message.method != b"POST" or message.target != SESSION_TARGET:
                raise unverified("session", "a session is opened by POST to its own path")
            signature = parse_signature(message)
            if not signature.epoch:
                raise unverified("session", "a session is opened by a signature, not by another session")
            keyid = signature.keyid
            known = self._known_key(signature)
            caller = self._verify_signature(message, signature, known)
        except Unverified as error:
            raise self._counted(error, keyid) from None
        offered = parse_offer(message.body)
        private = self._entropy.bytes(EPHEMERAL_BYTES)
        name = self._entropy.token()
        answer = encode_answer(
            SessionAnswer(
                session=name, x25519=ephemeral_public(private), lifetime_seconds=self._limits.session_seconds
            )
        )
        key = derive_key(
            private=private,
            public=offered,
            signature_base=signature_base(message, signature.parameters),
            answer=answer,
        )
        at = self._clock.monotonic()
        session = _Session(
            name=name, known=known, key=SessionKey(key), at=at, ends_at=at + self._limits.session_seconds
        )
        with self._lock:
            self._make_room(session)
            self._sessions[name] = session
        return OpenedSession(caller=caller, session=name, answer=answer)

    def _known_key(self, signature: Signature) -> KnownKey:
        self._current()
        return self.known.by_key(signature.keyid, self._clock.now())

    def _verify_signature(
        self, message: SignedRequest, signature: Signature, known: KnownKey
    ) -> VerifiedCaller:
        agent = known.agent
        key = verifying_key(known.key)
        if key.algorithm != signature.algorithm:
            raise unverified("key", "the key is of another algorithm")
        if signature.epoch != self.epoch:
            raise unverified("epoch", "the signature was made for another epoch of this server")
        now = self._checked_time(signature)
        digest = self._checked_message(message)
        key.verify(signature_base(message, signature.parameters), signature.value)
        with self._lock:
            memory = self._memories.get(agent.name)
            if memory is None:
                memory = self._memories[agent.name] = ReplayMemory(
                    nonces_max=self._limits.nonces_per_agent_max,
                    retention_seconds=2 * self._limits.skew_seconds_max + 1,
                )
            accepted = memory.accept(signature.nonce, created=signature.created, at=self._clock.monotonic())
            sequence = memory.accepted
        if accepted == "full":
            raise unverified("quota", "too many signed messages at a time: open a session")
        if accepted != "new":
            raise unverified("replay", "the nonce was used before")
        return VerifiedCaller(
            agent=agent.name,
            proof="signature",
            binding=signature.keyid,
            sequence=sequence,
            message_digest=digest,
            at=now,
            identity=known.identity,
            key=signature.keyid,
        )

    def _verify_mac(self, message: SignedRequest, signature: Signature) -> VerifiedCaller:
        # A new registry snapshot ends the sessions of agents and keys that it no longer stands by.
        self._current()
        session = self._sessions.get(signature.keyid)
        if session is None:
            raise unverified("session", "the session is not known or has ended")
        at = self._clock.monotonic()
        if at >= session.ends_at:
            raise unverified("session", "the session is not known or has ended")
        now = self._checked_time(signature)
        identity = self._session_identity(signature.keyid, session, now)
        digest = self._checked_message(message)
        if not session.key.accepts(signature_base(message, signature.parameters), signature.value):
            raise unverified("signature", "the MAC does not fit session and message")
        sequence = int(signature.nonce)
        with self._lock:
            fresh = session.window.accept(sequence)
        session.used_at = at
        if not fresh:
            raise unverified("replay", "the sequence number was used before or is too far behind")
        return VerifiedCaller(
            agent=session.agent,
            proof="session_mac",
            binding=session.binding,
            sequence=sequence,
            message_digest=digest,
            at=now,
            identity=identity,
            key=session.thumbprint,
        )

    def _session_identity(self, name: str, session: _Session, now: UnixMillis) -> CallerIdentity:
        """As things stand at this message; a session does not outlive the instance that opened it."""
        if not session.enrolled:
            return self.known.registered(session.agent)
        try:
            return self.known.by_key(session.thumbprint, now).identity
        except Unverified:
            with self._lock:
                self._sessions.pop(name, None)
            raise

    def _checked_time(self, signature: Signature) -> UnixMillis:
        now = self._clock.now()
        if abs(signature.created * 1000 - now) > self._limits.skew_seconds_max * 1000:
            raise unverified(
                "time", f"created is more than {self._limits.skew_seconds_max} s from this server's clock"
            )
        return now

    def _checked_message(self, message: SignedRequest) -> bytes:
        if message.authority not in self._authorities:
            raise unverified("authority", "the message was made for another server")
        digest = sha256(message.body).digest()
        if message.content_digest != digest_field(digest):
            raise unverified("digest", "Content-Digest does not fit the body")
        return digest

    def _current(self) -> AgentDirectory:
        directory = self.known.directory()
        if directory is self._directory:
            return directory
        with self._lock:
            self._directory = directory
            # A session ends with the standing of its agent and key, and does not come back with it.
            for name, session in list(self._sessions.items()):
                if session.enrolled:
                    agent = directory.snapshot.agents.get(session.agent)
                else:
                    found = directory.by_key.get(session.thumbprint)
                    agent = found[0] if found is not None and found[0].name == session.agent else None
                if agent is None or agent.status != "active":
                    del self._sessions[name]
        return directory

    def _make_room(self, session: _Session) -> None:
        now = self._clock.monotonic()
        for name in [name for name, one in self._sessions.items() if one.ends_at <= now]:
            del self._sessions[name]
        if session.enrolled:
            own = [name for name, one in self._sessions.items() if one.thumbprint == session.thumbprint]
            room = SESSIONS_PER_INSTANCE_MAX
        else:
            own = [
                name
                for name, one in self._sessions.items()
                if one.agent == session.agent and not one.enrolled
            ]
            room = self._limits.sessions_per_agent_max
        own.sort(key=lambda name: self._sessions[name].used_at)
        for name in own[: max(0, len(own) + 1 - room)]:
            del self._sessions[name]

    def _counted(self, error: Unverified, key: str = "") -> Unverified:
        error.key = error.key or key
        # Asking for the epoch is how every client begins. By then key and agent are known to the registry.
        if error.step == "epoch":
            return error
        with self._lock:
            self._counts[error.step] = self._counts.get(error.step, 0) + 1
        return error
