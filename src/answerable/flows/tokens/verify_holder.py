"""Extend the gateway's prover with DPoP: an access token in `Authorization: DPoP`, held by a known agent's key.

Every other message goes to the prover behind, which refuses any other `Authorization`, `Bearer` above all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from answerable.core.identity.proof import dpop_terms
from answerable.core.identity.proof.http_signature import SignedRequest, request_from_http
from answerable.core.mandate.delegation_chain import SEPARATOR
from answerable.core.mandate.hop_signature import DelegatorBound
from answerable.core.mandate.hop_token import read_hop
from answerable.errors import Malformed, Unverified
from answerable.errors.codes.tlog import PROOF_SESSION
from answerable.errors.codes.tokens import DPOP_TOKEN
from answerable.flows.tokens.verify_dpop import BoundToken

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.identity.proof.channel import Channel
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.core.mandate.hop_signature import KeysOf
    from answerable.flows.state.known_callers import KnownCallers
    from answerable.flows.tokens.verify_caller import CallerVerifier, OpenedSession, ProvedHead
    from answerable.flows.tokens.verify_dpop import DpopVerifier, HolderHead

_DPOP: bytes = dpop_terms.SCHEME.lower().encode() + b" "

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHead:
    """As `ProvedHead`, for a message with a token. `request.delegation` ends with that token."""

    request: SignedRequest
    held: HolderHead[str]
    agent: AgentId
    identity: CallerIdentity

    @property
    def key(self) -> str:
        """Thumbprint of the key that was proved."""
        return self.held.proof.key.thumbprint

    @property
    def certificate(self) -> str:
        """Always empty: no certificate is checked."""
        return ""

    def over(self, digest: bytes) -> VerifiedCaller:
        """As `ProvedHead.over`. Raises Unverified, Unavailable (`replay.*`)."""
        return self.held.over(digest).caller(self.agent, self.identity)

    def use_up(self) -> None:
        """As `ProvedHead.use_up`. Raises Unverified, Unavailable (`replay.*`)."""
        self.held.use_up()


def bound_token(keys_of: KeysOf) -> Callable[[str], BoundToken[str]]:
    """Return a reader of access tokens of this token service. The validity of the chain is checked where it is used."""

    def token_of(text: str) -> BoundToken[str]:
        try:
            hop = read_hop(text)
        except Malformed as fault:
            raise DPOP_TOKEN(fault.message) from None
        if DelegatorBound(keys_of).form(hop, None) != "online" or hop.confirmation.method != "jkt":
            raise DPOP_TOKEN("the token is not bound to a key")
        return BoundToken(key=hop.confirmation.thumbprint, content=text)

    return token_of


def _nowhere(_path: str) -> str:
    return ""


class HolderProver:
    """Proves callers for the gateway, by tokens and by every other proof. Thread-safe.

    `metadata_of`: URL of the resource metadata at a path; empty if there is none.
    """

    def __init__(
        self,
        verifier: CallerVerifier,
        *,
        holders: DpopVerifier[str],
        known: KnownCallers,
        now: Callable[[], UnixMillis],
        metadata_of: Callable[[str], str] = _nowhere,
    ) -> None:
        self._verifier = verifier
        self._holders = holders
        self._known = known
        self._now = now
        self._metadata_of = metadata_of

    def head_of(
        self,
        method: str,
        target: bytes,
        headers: Collection[tuple[bytes, bytes]],
        channel: Channel | None = None,
    ) -> ProvedHead | TokenHead:
        """Return who sent this head, before a byte of its body is read. Raises Unverified, Unavailable (`replay.*`)."""
        if not _shows_token(headers):
            return self._verifier.head_of(method, target, headers, channel)
        fields = list(headers)
        rest = [(name, value) for name, value in fields if name not in _TOKEN_FIELDS]
        plain = request_from_http(method, target, rest, b"")
        held = self._holders.head_of(method, target, fields)
        found = self._known.by_key(held.proof.key.thumbprint, self._now())
        above = plain.chain
        named = above == held.token or above.endswith(SEPARATOR + held.token)
        chain = above if named else SEPARATOR.join(filter(None, (above, held.token)))
        return TokenHead(
            request=replace(plain, delegation=chain.encode("ascii")),
            held=held,
            agent=found.agent.name,
            identity=found.identity,
        )

    def opened_by(self, head: ProvedHead | TokenHead, body: bytes) -> OpenedSession:
        """Answer a handshake whose head was proved. Raises Unverified, Malformed."""
        if isinstance(head, TokenHead):
            raise PROOF_SESSION("a session is opened by a signature, without a token")
        return self._verifier.opened_by(head, body)

    def challenge(self, step: str) -> str:
        """As `CallerVerifier.challenge`."""
        return self._verifier.challenge(step)

    def refusal_fields(self, error: Unverified, path: str = "") -> Fields:
        """Return the fields of a 401: what failed, what a client needs to try again, and the URL that names who issues
        tokens for this path (RFC 9728, section 5.1, required by MCP for every 401)."""
        where = self._metadata_of(path)
        named = f'resource_metadata="{where}"'.encode("ascii") if where else b""
        if error.step == "dpop" or error.code.startswith("delegation."):
            (field, value), *rest = self._holders.challenge(error)
            return (field, b", ".join(filter(None, (value, named)))), *rest
        told = self._verifier.refusal_fields(error)
        return (
            (*told, (dpop_terms.CHALLENGE_FIELD, dpop_terms.SCHEME.encode() + b" " + named))
            if named
            else told
        )

    def answer_fields(self, headers: Iterable[tuple[bytes, bytes]]) -> Fields:
        """Return the fields of any answer to a request with a token: a valid nonce (RFC 9449, section 8.2)."""
        return (self._holders.nonce_field(),) if _shows_token(headers) else ()


_TOKEN_FIELDS = frozenset({dpop_terms.AUTHORIZATION_FIELD, dpop_terms.PROOF_FIELD})


def _shows_token(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    for name, value in headers:
        if name in _TOKEN_FIELDS and (name == dpop_terms.PROOF_FIELD or value[: len(_DPOP)].lower() == _DPOP):
            return True
    return False
