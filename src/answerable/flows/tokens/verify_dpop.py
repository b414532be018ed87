"""Verify DPoP (RFC 9449): that the sender of an HTTP message holds the key its access token is bound to.

A token proves nothing by itself: `Bearer` and any other `Authorization` scheme is refused before its token is read.
Beyond RFC 9449, a proof always carries a nonce of this server and covers the message: by a claim of its own, or by a
signature over the message with the same key (`flows/tokens/verify_caller.py`). All MCP `tools/call` requests are POST
to one URL, so method and URL alone would not bind the proof to what is done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from itertools import count
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from answerable.core.identity.names.target_url import normal_path, normal_url
from answerable.core.identity.proof import dpop_terms as terms
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.core.identity.proof.dpop import (
    check_message,
    check_proof,
    check_signature,
    read_proof,
    use_of,
)
from answerable.core.identity.proof.dpop_nonce import BUCKET_SECONDS, ServerNonces
from answerable.errors import Malformed, Unverified
from answerable.errors.codes.tokens import (
    DPOP_BINDING,
    DPOP_CREDENTIAL,
    DPOP_LIMITS,
    DPOP_MALFORMED,
    DPOP_NONCE,
    DPOP_QUOTA,
    DPOP_REPLAY,
    DPOP_URL,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.identity.proof.dpop import DpopProof
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.flows.tokens.verify_caller import ProvedHead
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.ports.replay_store import ReplayStore

TOKEN_CHARS_MAX: Final = 16_384

_OF_NOTHING: Final = sha256(b"").digest()

_CREDENTIALS: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([A-Za-z0-9._~+/-]+=*)")
_SIGNATURE_FIELD: Final = b"signature-input"
# Fields of this proof only. They are removed before the signature check, which refuses every `Authorization`.
_OWN_FIELDS: Final = frozenset({terms.AUTHORIZATION_FIELD, terms.PROOF_FIELD})

Token = TypeVar("Token")


@dataclass(frozen=True, slots=True, kw_only=True)
class DpopLimits:
    """`urls`: external URLs of this server, each `https://HOST[:PORT][/PREFIX]`; the path of a request is appended. No
    header changes them, so that a proxy in front needs no header that clients could forge.

    `skew_seconds_max`: how far `iat` may differ from this clock, either way. `nonce_seconds`: a nonce is valid for one
    to two times this long.
    """

    urls: frozenset[str]
    skew_seconds_max: int = 60
    nonce_seconds: int = BUCKET_SECONDS

    def __post_init__(self) -> None:
        """Raises Malformed (`dpop.limits`, `url.malformed`)."""
        if not self.urls or self.skew_seconds_max < 1:
            raise DPOP_LIMITS("DPoP needs a URL of this server and a skew of at least 1 s")
        for url in self.urls:
            normal_url(url)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundToken(Generic[Token]):
    """A verified access token. `key`: its `cnf.jkt`, an RFC 7638 thumbprint; a token bound to no key is refused.

    `content`: what else its verifier made of it.
    """

    key: str
    content: Token

    def __post_init__(self) -> None:
        """Raises Unverified (`dpop.binding`)."""
        if not self.key:
            raise DPOP_BINDING("the token is bound to no key: ask for one with a DPoP proof")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedHolder(Generic[Token]):
    """A sender that holds the token's key and used it for this message.

    `token`: its text. `key`: thumbprint of the key. `message_digest`: SHA-256 of the body. `binding`, `sequence`: as in
    `VerifiedCaller`. `at`: when it was checked, Unix milliseconds.
    """

    token: str
    key: str
    content: Token
    message_digest: bytes
    binding: str
    sequence: int
    at: UnixMillis

    def caller(self, agent: AgentId, identity: CallerIdentity) -> VerifiedCaller:
        """Return the caller of the message. `agent`, `identity`: those that the key or the token belongs to."""
        return VerifiedCaller(
            agent=agent,
            proof="dpop",
            binding=self.binding,
            sequence=self.sequence,
            message_digest=self.message_digest,
            at=self.at,
            identity=identity,
            key=self.key,
        )


class HolderHead(Generic[Token]):
    """The proved sender of the head of a message with a token, enough to decide whether to read the body."""

    __slots__ = ("_judge", "at", "content", "proof", "signed", "token", "until")

    def __init__(
        self,
        judge: DpopVerifier[Token],
        proof: DpopProof,
        *,
        token: str,
        content: Token,
        until: float,
        at: UnixMillis,
        signed: ProvedHead | None,
    ) -> None:
        """`until`: end of the proof's nonce. `signed`: proved head of the message's signature, if it has one."""
        self._judge = judge
        self.proof, self.token, self.content = proof, token, content
        self.until, self.at, self.signed = until, at, signed

    def over(self, digest: bytes) -> ProvedHolder[Token]:
        """Return the holder of the message with this body, once. `digest`: SHA-256 of the body.

        Raises Unverified (step `dpop`, and those of the signature), counted, and Unavailable (`replay.*`).
        """
        return self._judge._over(self, digest)

    def use_up(self) -> None:
        """Use up the proof of a message that is refused unread.

        Raises Unverified (step `dpop`), counted, and Unavailable (`replay.*`).
        """
        self._judge._used_up(self)


class DpopVerifier(Generic[Token]):
    """Verifies DPoP proofs. Synchronous, thread-safe. All processes share the replay store, its epoch and so the
    nonces.

    `token_of`: verifies an access token; raises this family's errors. `signed_by`: verifies the head of a message with
    a signature of its own, as `CallerVerifier.head_of`; None if signatures are not accepted.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        entropy: Entropy,
        store: ReplayStore,
        limits: DpopLimits,
        token_of: Callable[[str], BoundToken[Token]],
        signed_by: Callable[[str, bytes, list[tuple[bytes, bytes]]], ProvedHead] | None = None,
    ) -> None:
        self._clock = clock
        self._store = store
        self._limits = limits
        self._token_of = token_of
        self._signed_by = signed_by
        self._urls = tuple(sorted(normal_url(url).rstrip("/") for url in limits.urls))
        self._nonces = ServerNonces(
            store.epoch, server="\n".join(self._urls), bucket_seconds=limits.nonce_seconds
        )
        # A sequence number is never used twice under a binding, so the binding names this run of the process.
        self._run: Final = entropy.token()
        self._numbers = count(1)

    def nonce_field(self) -> tuple[bytes, bytes]:
        """Return the nonce field for every answer, so that a client always has a valid nonce (section 8.2)."""
        return terms.NONCE_FIELD, self._nonces.current(self._clock.monotonic()).encode("ascii")

    def challenge(self, error: Unverified) -> tuple[tuple[bytes, bytes], ...]:
        """Return the fields of a 401 (section 7.1): the error, the algorithms, and a nonce."""
        algorithms = " ".join(terms.ALGORITHMS)
        value = f'{terms.SCHEME} error="{challenge_error(error)}", algs="{algorithms}"'
        return (terms.CHALLENGE_FIELD, value.encode("ascii")), self.nonce_field()

    def verify(
        self, method: str, target: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes
    ) -> ProvedHolder[Token]:
        """Return who holds the token of this message. `headers`: names in lower case, as in ASGI. `target`: path and
        query.

        Raises Unverified (step `dpop`, and as `token_of` and `signed_by`) and Unavailable (`replay.*`).
        """
        return self.head_of(method, target, headers).over(sha256(body).digest())

    def head_of(
        self, method: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]
    ) -> HolderHead[Token]:
        """Return who sent this head, before a byte of its body is read. Raises as `verify`."""
        proof: DpopProof | None = None
        try:
            token = _token(headers)
            proof = read_proof(_only_proof(headers))
            until, now = self._for_this(proof, method, target, token)
            bound = self._token_of(token)
            signed: ProvedHead | None = None
            if self._signed_by is not None and any(name == _SIGNATURE_FIELD for name, _ in headers):
                rest = [field for field in headers if field[0] not in _OWN_FIELDS]
                signed = self._signed_by(method, target, rest)
                if not compare_digest(signed.key, proof.key.thumbprint):
                    raise DPOP_BINDING("proof and signature of the message are by different keys")
            check_signature(proof, thumbprint=bound.key)
        except Unverified as error:
            raise _of_key(error, proof) from None
        return HolderHead(self, proof, token=token, content=bound.content, until=until, at=now, signed=signed)

    def _used_up(self, head: HolderHead[Token]) -> None:
        try:
            self._first_use(head.proof, head.until)
        except Unverified as error:
            raise _of_key(error, head.proof) from None

    def _over(self, head: HolderHead[Token], digest: bytes) -> ProvedHolder[Token]:
        proof = head.proof
        try:
            check_message(proof, digest, needed=digest != _OF_NOTHING and head.signed is None)
            if head.signed is not None:
                head.signed.over(digest)
        except Unverified as error:
            raise _of_key(error, proof) from None
        self._used_up(head)
        return ProvedHolder(
            token=head.token,
            key=proof.key.thumbprint,
            content=head.content,
            message_digest=digest,
            binding=f"dpop:{proof.key.thumbprint},run={self._run}",
            sequence=next(self._numbers),
            at=head.at,
        )

    def prove_key(
        self, method: str, target: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes
    ) -> str:
        """Return the thumbprint of the key in a proof without a token, as at a token endpoint (section 5).

        What the proof states of the body must match; it need not state anything, because OAuth clients do not. Raises
        Unverified (step `dpop`) and Unavailable (`replay.*`).
        """
        proof: DpopProof | None = None
        try:
            proof = read_proof(_only_proof(headers))
            until, _ = self._for_this(proof, method, target, None)
            check_message(proof, sha256(body).digest(), needed=False)
            check_signature(proof, thumbprint=None)
            self._first_use(proof, until)
        except Unverified as error:
            raise _of_key(error, proof) from None
        return proof.key.thumbprint

    def _for_this(
        self, proof: DpopProof, method: str, target: bytes, token: str | None
    ) -> tuple[float, UnixMillis]:
        """Check, cheaply, that the proof is for this request. Return the end of its nonce, and the time."""
        until = self._nonces.until(proof.nonce, self._clock.monotonic())
        if until is None:
            raise DPOP_NONCE()
        now = self._clock.now()
        check_proof(
            proof,
            method=method,
            urls=self._urls_of(target),
            now=now,
            skew_seconds_max=self._limits.skew_seconds_max,
            token=token,
        )
        return until, now

    def _first_use(self, proof: DpopProof, until: float) -> None:
        """Use up the proof. Last, so that a forged or stolen proof uses nothing up."""
        partition, digest = use_of(proof)
        answer = self._store.accept(partition, digest, until=until, at=self._clock.monotonic())
        if answer == "seen":
            raise DPOP_REPLAY()
        if answer == "full":
            raise DPOP_QUOTA()

    def _urls_of(self, target: bytes) -> list[str]:
        """Return the external URLs of this target. It must have no query, because a DPoP proof does not cover one."""
        try:
            path = target.decode("ascii")
            if normal_path(path) == path:
                return [url + path for url in self._urls]
        except (UnicodeDecodeError, Malformed):
            pass
        raise DPOP_URL(
            "the request target has a query or is not in canonical form, so a proof cannot cover it"
        )


def _of_key(error: Unverified, proof: DpopProof | None) -> Unverified:
    """Add the key of the proof to the error, if one was read, for the report of the refusal."""
    if proof is not None:
        error.key = proof.key.thumbprint
    return error


def challenge_error(error: Unverified) -> terms.ChallengeError:
    """Return RFC 9449's name of a failure (sections 7.1 and 9)."""
    if error.code == "dpop.nonce":
        return "use_dpop_nonce"
    proof_at_fault = error.step == "dpop" and error.code not in ("dpop.credential", "dpop.binding")
    return "invalid_dpop_proof" if proof_at_fault else "invalid_token"


def has_credential(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a message carries `Authorization` or a DPoP proof, so that this verifier judges it."""
    return any(name in _OWN_FIELDS for name, _ in headers)


def _token(headers: Sequence[tuple[bytes, bytes]]) -> str:
    found = [value for name, value in headers if name == terms.AUTHORIZATION_FIELD]
    if len(found) != 1 or len(found[0]) > TOKEN_CHARS_MAX:
        raise DPOP_CREDENTIAL(f"expected one Authorization field of at most {TOKEN_CHARS_MAX} characters")
    parts = _CREDENTIALS.fullmatch(found[0])
    if parts is None or parts[1].lower() != terms.SCHEME.lower().encode():
        raise DPOP_CREDENTIAL(
            "a token needs a proof of its key: send `Authorization: DPoP` and a `DPoP` field"
        )
    return parts[2].decode("ascii")


def _only_proof(headers: Sequence[tuple[bytes, bytes]]) -> str:
    found = [value for name, value in headers if name == terms.PROOF_FIELD]
    if len(found) != 1:
        raise DPOP_MALFORMED(f"expected one DPoP field, got {len(found)}")
    return found[0].decode("latin-1")
