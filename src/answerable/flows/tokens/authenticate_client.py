"""Authenticate clients of the token service, in four ways; none uses a secret that could be copied.

- The gateway's proofs: a signature over this request, a session's MAC, the kernel's identification of a local
 process, or a client certificate (RFC 8705), including an X.509-SVID. - A JWT-SVID for this service alone
  (draft-ietf-oauth-spiffe-client-auth-02). It is a bearer token, so it only
 identifies the client; what is issued is bound to a key that is proved in addition. - An assertion signed by the
  client's own key, accepted once (`private_key_jwt`, RFC 7523).
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.identity.proof.client_assertion import verified_assertion
from answerable.core.identity.proof.http_signature import request_from_http
from answerable.core.identity.svid.jwt_svid import verified_jwt_svid
from answerable.core.mandate import oauth_terms as terms
from answerable.errors import shown
from answerable.errors.codes.tokens import (
    CLIENT_AUDIENCE,
    CLIENT_CREDENTIAL,
    CLIENT_FORGOTTEN,
    CLIENT_REPLAY,
    CLIENT_SUBJECT,
    OAUTH_INVALID_REQUEST,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.identity.proof.channel import Channel
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.flows.state.known_callers import KnownCallers
    from answerable.flows.tokens.verify_caller import CallerVerifier
    from answerable.ports.clock import Clock
    from answerable.ports.replay_store import ReplayStore
    from answerable.ports.trust_source import TrustSource

_AUTHORIZATION: Final = (b"authorization", b"proxy-authorization")


class Asked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One HTTP request as received, with its connection. `values`: form values."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    channel: Channel | None
    values: Mapping[str, str] = {}

    def fields(self, name: bytes) -> tuple[bytes, ...]:
        """Return every value of a header field, by its lower-case name."""
        return tuple(value for found, value in self.headers if found == name)


class TokenClient(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An authenticated agent. `key`, `certificate`, `process`: what it proved with this request, as in
    `VerifiedCaller`; empty if not proved."""

    agent: AgentId
    identity: CallerIdentity
    method: str
    key: str = ""
    certificate: str = ""
    process: str = ""


class ClientAuthenticator:
    """Authenticates clients. Synchronous, without I/O except of the replay store, thread-safe.

    `issuer`: the service's identifier, the only accepted audience of assertions.
    """

    def __init__(
        self,
        *,
        verifier: CallerVerifier,
        known: KnownCallers,
        trust: TrustSource,
        replay: ReplayStore,
        clock: Clock,
        issuer: Callable[[], str],
    ) -> None:
        self._verifier = verifier
        self._known = known
        self._trust = trust
        self._replay = replay
        self._clock = clock
        self._issuer = issuer

    def authenticate(self, asked: Asked) -> TokenClient:
        """Return the client of one request.

        Raises Unverified (step `client` and those of the gateway's proofs) and Malformed (`oauth.invalid_request`).
        """
        if any(asked.fields(name) for name in _AUTHORIZATION):
            raise CLIENT_CREDENTIAL("no password or bearer secret is accepted: prove possession of a key")
        kind = asked.values.get("client_assertion_type", "")
        client = self._by_proof(asked) if not kind else self._by_assertion(kind, asked)
        named = asked.values.get("client_id", client.agent)
        if named not in (client.agent, client.identity.instance):
            raise CLIENT_SUBJECT(f"`client_id` is {shown(named)}, and the proof is by another client")
        return client

    def _by_proof(self, asked: Asked) -> TokenClient:
        verifier = self._verifier
        message = request_from_http(asked.method, asked.target, asked.headers, asked.body)
        caller = verifier.verify(message, asked.channel)
        return TokenClient(
            agent=caller.agent,
            identity=caller.identity,
            method=caller.proof,
            key=caller.key,
            certificate=caller.certificate,
            process=caller.process,
        )

    def _by_assertion(self, kind: str, asked: Asked) -> TokenClient:
        assertion = asked.values.get("client_assertion", "")
        if not assertion:
            raise OAUTH_INVALID_REQUEST("parameter `client_assertion` is missing")
        now = self._clock.now()
        if kind == terms.CLIENT_JWT_SPIFFE:
            return self._by_svid(assertion, now)
        if kind == terms.CLIENT_JWT_BEARER:
            return self._by_key(assertion, now)
        raise OAUTH_INVALID_REQUEST(
            f"client assertion type {shown(kind)} is not served: use {terms.CLIENT_JWT_SPIFFE} or "
            f"{terms.CLIENT_JWT_BEARER}"
        )

    def _by_svid(self, token: str, now: UnixMillis) -> TokenClient:
        issuer = self._issuer()
        svid = verified_jwt_svid(token, audience=issuer, bundle_of=self._trust.bundle, now=now)
        if svid.audience != (issuer,):
            raise CLIENT_AUDIENCE(f"audience of the JWT-SVID must be {shown(issuer)} alone")
        agent, identity = self._known.by_name(svid.id, now)
        return TokenClient(agent=agent.name, identity=identity, method=terms.AUTH_SPIFFE_JWT)

    def _by_key(self, token: str, now: UnixMillis) -> TokenClient:
        def key_of(thumbprint: str) -> PublicKey:
            return self._known.by_key(thumbprint, now).key

        said = verified_assertion(token, issuer=self._issuer(), key_of=key_of, now=now)
        known = self._known.by_key(said.thumbprint, now)
        if said.client not in (known.agent.name, known.identity.instance):
            raise CLIENT_SUBJECT(f"the key is not registered for {shown(said.client)}", key=said.thumbprint)
        at = self._clock.monotonic()
        # Assertions accepted before the store began are unknown. Times in assertions are whole seconds, rounded down.
        if now - (at - self._replay.since) * 1000 >= said.issued_at + 1000:
            raise CLIENT_FORGOTTEN()
        answer = self._replay.accept(
            sha256(said.thumbprint.encode()).digest(),
            sha256(b"client-assertion\0" + said.id.encode("utf-8", "surrogatepass")).digest()[:16],
            until=at + (said.expires_at - now) / 1000,
            at=at,
        )
        if answer != "new":
            raise CLIENT_REPLAY(key=said.thumbprint)
        return TokenClient(
            agent=known.agent.name,
            identity=known.identity,
            method=terms.AUTH_PRIVATE_KEY_JWT,
            key=said.thumbprint,
        )
