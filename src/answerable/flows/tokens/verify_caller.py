"""Verify who is calling: from a message and its connection to a proved caller. The only maker of `VerifiedCaller`.

One of four proofs is required; a bearer secret is never accepted:

- a signature per message, with a nonce that is accepted once; - a MAC per message under the key of a session
  that a signed handshake opened; - the kernel's identification of the process at the other end of a Unix socket;
  - the client certificate that the connection's TLS handshake verified, pinned or an X.509-SVID.

All bind the digest of the message and a sequence number. If a message carries a proof of its own, only that proof
counts, whatever its connection could have proved.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.identity.keys.keys import verifying_key
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.core.identity.proof.http_signature import (
    SignedRequest,
    digest_field,
    parse_signature,
    request_from_http,
    signature_base,
)
from answerable.core.identity.proof.replay import ConnectionSequences, UsedNonces
from answerable.core.identity.proof.session import (
    EPHEMERAL_BYTES,
    SESSION_TARGET,
    SessionAnswer,
    SessionKey,
    derive_key,
    encode_answer,
    ephemeral_public,
    parse_offer,
)
from answerable.errors import Unverified
from answerable.errors.codes.tlog import (
    PROOF_AUTHORITY,
    PROOF_DIGEST,
    PROOF_EPOCH,
    PROOF_KEY,
    PROOF_MALFORMED,
    PROOF_QUOTA,
    PROOF_REPLAY,
    PROOF_SESSION,
    PROOF_SIGNATURE,
    PROOF_TIME,
)
from answerable.flows.state.known_callers import KnownCallers
from answerable.flows.state.proof_sessions import ProofSession, ProofSessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.identity.proof.caller import ProofKind
    from answerable.core.identity.proof.channel import Channel
    from answerable.core.identity.proof.http_signature import Signature
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.core.registry.snapshot.discovered_asset import DiscoveredAssets
    from answerable.flows.state.known_callers import KnownKey
    from answerable.flows.tokens.proof_limits import ProofLimits
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.ports.instance_register import InstanceRegister
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.trust_source import TrustSource


_DIGEST_FIELD_BYTES: Final = len(digest_field(bytes(32)))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSession:
    """An opened session. `answer`: body for the client, to be sent byte for byte."""

    caller: VerifiedCaller
    session: str
    answer: bytes


class ProvedHead(msgspec.Struct, kw_only=True, gc=False):
    """The proved sender of a message head, enough to decide whether to read the body. Nothing is used up yet.

    `signature`: of the message itself; None if the connection identifies the sender.
    """

    clock: Clock
    request: SignedRequest
    agent: AgentId
    proof: ProofKind
    binding: str
    identity: CallerIdentity
    take: Callable[[], int]
    key: str = ""
    certificate: str = ""
    process: str = ""
    signature: Signature | None = None

    def over(self, digest: bytes) -> VerifiedCaller:
        """Return the caller of the message with this body, once. `digest`: SHA-256 of the body.

        Raises Unverified: step `digest` if the proof is over another body, `replay`, `quota`.
        """
        try:
            if self.signature is not None and self.request.content_digest != digest_field(digest):
                raise PROOF_DIGEST()
            # Last, so that a forged message uses nothing up.
            sequence = self.take()
        except Unverified as error:
            raise _of_key(error, self.key) from None
        return VerifiedCaller(
            agent=self.agent,
            proof=self.proof,
            binding=self.binding,
            sequence=sequence,
            message_digest=digest,
            at=self.clock.now(),
            identity=self.identity,
            key=self.key,
            certificate=self.certificate,
            process=self.process,
        )

    def use_up(self) -> None:
        """Use up the proof of a message that is refused unread.

        Raises Unverified: step `replay` if the message is a copy, `quota`.
        """
        try:
            self.take()
        except Unverified as error:
            raise _of_key(error, self.key) from None


class CallerVerifier:
    """Verifies callers. Synchronous, without I/O, thread-safe. Sessions and nonces live as long as the object. Each
    signature carries the epoch of the nonces (`UsedNonces`), which a refusal states (`challenge`).
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
        sightings: DiscoveredAssets | None = None,
        account: int | None = None,
    ) -> None:
        """`manifest_of`: digest of an agent's manifest in force, for callers that are not instances. `account`: user id
        of this process; agents that call from it are collected in `beside`."""
        self.known: Final = KnownCallers(
            registry=registry, instances=instances, trust=trust, manifest_of=manifest_of, sightings=sightings
        )
        self.beside: frozenset[AgentId] = frozenset()
        self._account = account
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._authorities = frozenset(name.encode("ascii") for name in limits.authorities)
        self._lock = Lock()
        self._nonces = UsedNonces(
            new_epoch=entropy.token,
            nonces_max=limits.nonces_per_agent_max,
            retention_seconds=2 * limits.skew_seconds_max + 1,
        )
        self._sessions = ProofSessions(self.known.directory(), per_agent_max=limits.sessions_per_agent_max)
        self._connections = ConnectionSequences(connections_max=limits.connections_max)

    @property
    def epoch(self) -> str:
        """The epoch that signatures must name now."""
        return self._nonces.epoch

    def challenge(self, step: str) -> str:
        """Return the WWW-Authenticate value of every 401: what a client needs to try again."""
        return f'Answerable epoch="{self.epoch}", step="{step}"'

    def refusal_fields(self, error: Unverified, path: str = "") -> tuple[tuple[bytes, bytes], ...]:
        """Return the fields of a 401: what failed, and what a client needs to try again. The same at every path."""
        return ((b"www-authenticate", self.challenge(error.step).encode("latin-1")),)

    def answer_fields(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
        """Return the fields of an answer to such a request: none, because these proofs need nothing."""
        return ()

    def verify(self, message: SignedRequest, channel: Channel | None = None) -> VerifiedCaller:
        """Return the proved caller of one message. Raises Unverified with the step that failed."""
        return self.prove(message, channel).over(sha256(message.body).digest())

    def head_of(
        self,
        method: str,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        channel: Channel | None = None,
    ) -> ProvedHead:
        """Return who sent this head, before a byte of its body is read. Raises Unverified."""
        return self.prove(request_from_http(method, target, headers, b""), channel)

    def prove(self, message: SignedRequest, channel: Channel | None = None) -> ProvedHead:
        """Return who sent this message, checking everything but digest and first use. Raises Unverified."""
        keyid = ""
        try:
            if message.signature_input:
                signature = parse_signature(message)
                if signature.epoch:
                    keyid = signature.keyid
                    head = self._prove_signature(message, signature)
                else:
                    head = self._prove_mac(message, signature)
            elif channel is None:
                raise PROOF_MALFORMED("the message carries no proof of possession")
            else:
                head = self._prove_channel(message, channel)
        except Unverified as error:
            raise _of_key(error, keyid) from None
        peer = channel.peer if channel is not None else None
        if peer is not None and peer.uid == self._account and head.agent not in self.beside:
            self.beside |= {head.agent}
        return head

    def _prove_channel(self, message: SignedRequest, channel: Channel) -> ProvedHead:
        agent, proof, identity = self.known.by_channel(channel, self._clock.now())
        peer = channel.peer
        if peer is not None:
            bound = f"unix:uid={peer.uid},gid={peer.gid},pid={peer.pid},started={peer.started}"
        else:
            bound = f"{proof}:{channel.certificate}"
        return ProvedHead(
            clock=self._clock,
            request=message,
            agent=agent.name,
            proof=proof,
            binding=f"{bound},connection={channel.connection}",
            identity=identity,
            certificate=channel.certificate_thumbprint if peer is None else "",
            process=channel.process if peer is not None else "",
            take=partial(self._take_message, channel),
        )

    def _take_message(self, channel: Channel) -> int:
        with self._lock:
            fresh = self._connections.accept(channel.connection, channel.sequence)
        if not fresh:
            raise PROOF_REPLAY("the connection delivered this message before")
        return channel.sequence

    def open_session(self, message: SignedRequest) -> OpenedSession:
        """Answer a signed handshake. Raises Unverified, and Malformed (`session.malformed`, `json.*`)."""
        return self.opened_by(self.prove(message), message.body)

    def opened_by(self, head: ProvedHead, body: bytes) -> OpenedSession:
        """Answer a handshake whose head was proved. Raises as `open_session`."""
        message, signature = head.request, head.signature
        try:
            if message.method != b"POST" or message.target != SESSION_TARGET:
                raise PROOF_SESSION("a session is opened by POST to its own path")
            if signature is None or not signature.epoch:
                raise PROOF_SESSION("a session is opened by a signature, not by another session")
        except Unverified as error:
            raise _of_key(error, head.key) from None
        caller = head.over(sha256(body).digest())
        known = self._known_key(signature)
        offered = parse_offer(body)
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
        session = ProofSession(
            name=name, known=known, key=SessionKey(key), at=at, ends_at=at + self._limits.session_seconds
        )
        self._sessions.add(name, session, at=at)
        return OpenedSession(caller=caller, session=name, answer=answer)

    def _known_key(self, signature: Signature) -> KnownKey:
        self._sessions.stand_by(self.known.directory())
        return self.known.by_key(signature.keyid, self._clock.now())

    def _prove_signature(self, message: SignedRequest, signature: Signature) -> ProvedHead:
        known = self._known_key(signature)
        agent = known.agent
        key = verifying_key(known.key)
        if key.algorithm != signature.algorithm:
            raise PROOF_KEY("`alg` of the signature is not that of the key")
        if signature.epoch != self.epoch:
            raise PROOF_EPOCH()
        self._check_time(signature)
        self._check_head(message)
        key.verify(signature_base(message, signature.parameters), signature.value)
        return ProvedHead(
            clock=self._clock,
            request=message,
            agent=agent.name,
            proof="signature",
            binding=signature.keyid,
            identity=known.identity,
            key=signature.keyid,
            signature=signature,
            take=partial(self._take_nonce, agent.name, signature),
        )

    def _take_nonce(self, agent: AgentId, signature: Signature) -> int:
        accepted, sequence = self._nonces.take(
            agent,
            signature.nonce,
            epoch=signature.epoch,
            created=signature.created,
            at=self._clock.monotonic(),
        )
        if accepted == "epoch":
            raise PROOF_EPOCH()
        if accepted == "full":
            raise PROOF_QUOTA("too many signed messages in a short time: open a session")
        if accepted != "new":
            raise PROOF_REPLAY("the nonce was used before")
        return sequence

    def _prove_mac(self, message: SignedRequest, signature: Signature) -> ProvedHead:
        # A new registry ends the sessions of agents and keys that it does not contain.
        self._sessions.stand_by(self.known.directory())
        session = self._sessions.find(signature.keyid, at=self._clock.monotonic())
        if session is None:
            raise PROOF_SESSION("the session is not known or has ended")
        now = self._check_time(signature)
        identity = self._session_identity(signature.keyid, session, now)
        self._check_head(message)
        if not session.key.accepts(signature_base(message, signature.parameters), signature.value):
            raise PROOF_SIGNATURE("the MAC does not match session and message")
        return ProvedHead(
            clock=self._clock,
            request=message,
            agent=session.agent,
            proof="session_mac",
            binding=session.binding,
            identity=identity,
            key=session.thumbprint,
            signature=signature,
            take=partial(self._take_sequence, session, int(signature.nonce)),
        )

    def _take_sequence(self, session: ProofSession, sequence: int) -> int:
        if not self._sessions.take(session, sequence, at=self._clock.monotonic()):
            raise PROOF_REPLAY("the sequence number was used before or is too far behind")
        return sequence

    def _session_identity(self, name: str, session: ProofSession, now: UnixMillis) -> CallerIdentity:
        """Return the identity as of this message. A session does not outlive the instance that opened it."""
        if not session.enrolled:
            return self.known.registered(session.agent)
        try:
            return self.known.by_key(session.thumbprint, now).identity
        except Unverified:
            self._sessions.end(name)
            raise

    def _check_time(self, signature: Signature) -> UnixMillis:
        now = self._clock.now()
        if abs(signature.created * 1000 - now) > self._limits.skew_seconds_max * 1000:
            raise PROOF_TIME(
                f"`created` is more than {self._limits.skew_seconds_max} s from this server's clock"
            )
        return now

    def _check_head(self, message: SignedRequest) -> None:
        if message.authority not in self._authorities:
            raise PROOF_AUTHORITY("the signature was made for another server")
        if len(message.content_digest) != _DIGEST_FIELD_BYTES:
            raise PROOF_DIGEST()


def _of_key(error: Unverified, key: str) -> Unverified:
    """Add the key that the message named to an error without one, for the report of the refusal."""
    error.key = error.key or key
    return error
