"""DPoP proofs (RFC 9449, sections 4.2 and 4.3): parse and check the proofs of requests, and make proofs.

Laws:
- a proof has one reading, and its header contains `typ`, `alg` and `jwk` and nothing else;
- the algorithm follows from the key in the header; `alg` may only agree, and names from before RFC 9864 are accepted;
- the proof is for one method at one configured URL: no field of the message determines that URL;
- presenting a token proves nothing until the key in its `cnf` has signed a proof over that token.

This module does not check that a proof is used once: see `ports/replay_store.py`. The checks of `check_proof` run
before the signature check since they cost a hundredth of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from answerable.core.base64url import to_base64url
from answerable.core.canonical import Limits, encode, parse
from answerable.core.identity.keys.compact_jws import (
    JOSE_NAMES,
    from_base64url,
    header_members,
    split_compact,
)
from answerable.core.identity.keys.keys import public_key, verifying_key
from answerable.core.identity.names.target_url import normal_url
from answerable.core.identity.proof import dpop_terms as terms
from answerable.errors import Malformed, Unverified, shown
from answerable.errors.codes.tokens import (
    DPOP_ALGORITHM,
    DPOP_BINDING,
    DPOP_KEY,
    DPOP_MALFORMED,
    DPOP_MALFORMED_MALFORMED,
    DPOP_MESSAGE,
    DPOP_METHOD,
    DPOP_SIGNATURE,
    DPOP_TIME,
    DPOP_TOKEN,
    DPOP_TYPE,
    DPOP_URL,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey, SigningKey
    from answerable.core.identity.names.principal import UnixMillis

PROOF_CHARS_MAX: Final = 4096
IDENTIFIER_CHARS_MAX: Final = 128
"""Maximum length of `jti`."""
IDENTIFIER_CHARS_MIN: Final = 8
NONCE_CHARS_MAX: Final = 128
HEADERS_REMEMBERED_MAX: Final = 4096
"""Cached headers with their prepared key; a client sends the same header in all its proofs."""

_HEADER_DEPTH_MAX: Final = 3  # The header, the key in it, and its `key_ops`.
_CLAIMS_LIMITS: Final = Limits(size_bytes_max=PROOF_CHARS_MAX, depth_max=4)
_DIGEST_CHARS: Final = 43
_ED25519: Final = JOSE_NAMES["ed25519"]
_TEXT_CLAIMS: Final = (
    (terms.JTI, IDENTIFIER_CHARS_MIN, IDENTIFIER_CHARS_MAX),
    (terms.HTM, 1, 16),
    (terms.HTU, 1, 2048),
)
_OPTIONAL_CLAIMS: Final = (
    (terms.ATH, _DIGEST_CHARS, _DIGEST_CHARS),
    (terms.NONCE, 1, NONCE_CHARS_MAX),
    (terms.MESSAGE, _DIGEST_CHARS, _DIGEST_CHARS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DpopProof:
    """A parsed proof, untrusted until `check_proof` and `check_signature` have returned.

    key: the key in the header. identifier: `jti`. issued_at: `iat`, Unix seconds. token_digest: `ath`; nonce;
    message_digest: our claim `answerable/message`; each empty when absent. signed, signature: the bytes to verify, and
    the signature over them.
    """

    key: PublicKey
    identifier: str
    method: str
    url: str
    issued_at: float
    token_digest: str
    nonce: str
    message_digest: str
    signed: bytes
    signature: bytes


def read_proof(text: str) -> DpopProof:
    """Parse a proof and check its form, without verifying it.

    Raises Unverified with step `dpop`: `dpop.malformed`, `dpop.type`, `dpop.algorithm`, `dpop.key`.
    """
    try:
        if len(text) > PROOF_CHARS_MAX:
            raise DPOP_MALFORMED_MALFORMED(f"a proof has at most {PROOF_CHARS_MAX} characters")
        header, payload, signature = split_compact(text, malformed=DPOP_MALFORMED_MALFORMED)
        key = _key_in(header)
        claims = parse(from_base64url(payload, malformed=DPOP_MALFORMED_MALFORMED), limits=_CLAIMS_LIMITS)
        octets = from_base64url(signature, malformed=DPOP_MALFORMED_MALFORMED)
    except Malformed as error:
        raise DPOP_MALFORMED(f"the proof cannot be read: {error.message}") from None
    if not isinstance(claims, dict):
        raise DPOP_MALFORMED("the claims of the proof are not a JSON object")
    texts = [_text(claims, *rule, needed=True) for rule in _TEXT_CLAIMS]
    texts += [_text(claims, *rule, needed=False) for rule in _OPTIONAL_CLAIMS]
    issued_at = claims.get(terms.IAT)
    if isinstance(issued_at, bool) or not isinstance(issued_at, int | float):
        raise DPOP_MALFORMED("the proof needs a claim `iat`, a number of Unix seconds")
    identifier, method, url, token_digest, nonce, message_digest = texts
    return DpopProof(
        key=key,
        identifier=identifier,
        method=method,
        url=url,
        issued_at=issued_at,
        token_digest=token_digest,
        nonce=nonce,
        message_digest=message_digest,
        signed=f"{header}.{payload}".encode("ascii"),
        signature=octets,
    )


def check_proof(
    proof: DpopProof,
    *,
    method: str,
    urls: Iterable[str],
    now: UnixMillis,
    skew_seconds_max: int,
    token: str | None,
) -> None:
    """Check that a proof is for this request, now: everything except nonce, signature and first use.

    urls: public URLs of the target, in the spelling of `normal_url`. token: the access token of the request, None where
    a key requests its first token.

    Raises Unverified with step `dpop`: `dpop.method`, `dpop.url`, `dpop.time`, `dpop.token`.
    """
    if proof.method != method:
        raise DPOP_METHOD(f"`htm` of the proof must be {shown(method, 20)}")
    if not any(_same_url(proof.url, url) for url in urls):
        raise DPOP_URL("`htu` of the proof is none of this server's URLs for the request target")
    if abs(proof.issued_at * 1000 - now) > skew_seconds_max * 1000:
        raise DPOP_TIME(f"`iat` of the proof is more than {skew_seconds_max} s from this server's clock")
    if token is not None and not compare_digest(proof.token_digest, token_digest(token)):
        raise DPOP_TOKEN("`ath` of the proof does not match the access token")


def check_signature(proof: DpopProof, *, thumbprint: str | None) -> None:
    """Check the signature by the key in the proof, and that this is the expected key.

    thumbprint: `cnf.jkt` of the token, compared in constant time; None where there is no token yet and any key is
    accepted. Raises Unverified with step `dpop`: `dpop.binding`, `dpop.signature`.
    """
    if thumbprint is not None and not compare_digest(
        proof.key.thumbprint.encode(), thumbprint.encode("utf-8", "surrogatepass")
    ):
        raise DPOP_BINDING("the token is bound to another key than the one that made the proof")
    try:
        verifying_key(proof.key).verify(proof.signed, proof.signature)
    except Unverified:
        raise DPOP_SIGNATURE() from None


def check_message(proof: DpopProof, digest: bytes, *, needed: bool) -> None:
    """Check that the proof also covers the body with this SHA-256.

    needed: refuse a proof that does not cover a body. Raises Unverified with step `dpop` (`dpop.message`).
    """
    if not proof.message_digest:
        if needed:
            raise DPOP_MESSAGE(
                f"the proof does not cover the message: add `{terms.MESSAGE}`, or sign the message"
            )
    elif not compare_digest(proof.message_digest, to_base64url(digest)):
        raise DPOP_MESSAGE(f"`{terms.MESSAGE}` of the proof does not match the message")


def use_of(proof: DpopProof) -> tuple[bytes, bytes]:
    """Return the names by which a `ReplayStore` stores this proof: its key, 32 bytes, and the proof among those of the
    key, 16 bytes.

    The second name derives from `jti`, as in RFC 9449, section 11.1, so that another proof with the same `jti` is
    refused, too.
    """
    return sha256(proof.key.thumbprint.encode()).digest(), sha256(proof.identifier.encode()).digest()[:16]


def token_digest(token: str) -> str:
    """Return the `ath` of an access token (section 4.2)."""
    return to_base64url(sha256(token.encode("utf-8", "surrogatepass")).digest())


def dpop_proof(
    key: SigningKey,
    *,
    method: str,
    url: str,
    identifier: str,
    issued_at: int,
    token: str = "",
    nonce: str = "",
    message: bytes | None = None,
) -> str:
    """Make a proof for one request. identifier: 96 or more fresh random bits as text. issued_at: Unix seconds.

    message: the body of the request; None to leave it uncovered. Raises Malformed (`url.malformed`), and Unverified
    (step `dpop`) if a server would refuse the form of the result, so that the client detects this first.
    """
    claims: dict[str, JSONValue] = {
        terms.JTI: identifier,
        terms.HTM: method,
        terms.HTU: normal_url(url),
        terms.IAT: issued_at,
    }
    if token:
        claims[terms.ATH] = token_digest(token)
    if nonce:
        claims[terms.NONCE] = nonce
    if message is not None:
        claims[terms.MESSAGE] = to_base64url(sha256(message).digest())
    signed = f"{_header_of(key.public, JOSE_NAMES[key.algorithm])}.{to_base64url(encode(claims))}"
    text = f"{signed}.{to_base64url(key.sign(signed.encode()))}"
    read_proof(text)
    return text


@lru_cache(maxsize=HEADERS_REMEMBERED_MAX)
def _header_of(key: PublicKey, algorithm: str) -> str:
    members: dict[str, JSONValue] = {"alg": algorithm, "jwk": parse(key.jwk.encode()), "typ": terms.TYPE}
    return to_base64url(encode(members))


@lru_cache(maxsize=HEADERS_REMEMBERED_MAX)
def _key_in(part: str) -> PublicKey:
    """Return the key in a header. Cached by the header's characters, which are the same in all proofs of one client.

    Raises Malformed (`dpop.malformed`) and Unverified.
    """
    members = header_members(
        from_base64url(part, malformed=DPOP_MALFORMED_MALFORMED),
        malformed=DPOP_MALFORMED_MALFORMED,
        depth_max=_HEADER_DEPTH_MAX,
    )
    if members.keys() != terms.HEADER_MEMBERS:
        raise DPOP_MALFORMED_MALFORMED("the header must have `typ`, `alg` and `jwk`, and nothing else")
    if members["typ"] != terms.TYPE:
        raise DPOP_TYPE(f"expected a proof of type {terms.TYPE}, got {shown(members['typ'], 40)}")
    algorithm, jwk = members["alg"], members["jwk"]
    if algorithm not in (*terms.ALGORITHMS, terms.OLD_ED25519):
        raise DPOP_ALGORITHM(f"algorithm {shown(algorithm, 40)} is not accepted")
    if not isinstance(jwk, dict):
        raise DPOP_KEY("`jwk` of the proof is not a key")
    try:
        key = public_key(jwk)
    except Malformed as error:
        raise DPOP_KEY(f"the key of the proof is not accepted: {error.message}") from None
    name = JOSE_NAMES[verifying_key(key).algorithm]
    if algorithm != name and (algorithm, name) != (terms.OLD_ED25519, _ED25519):
        raise DPOP_ALGORITHM(f"algorithm {shown(algorithm, 40)} does not match the key")
    return key


def _same_url(said: str, expected: str) -> bool:
    if said == expected:
        return True
    try:
        return normal_url(said) == expected
    except Malformed:
        return False


def _text(claims: dict[str, JSONValue], name: str, chars_min: int, chars_max: int, *, needed: bool) -> str:
    """Read a claim as printable ASCII, which is safe to compare and to log; empty if the claim may be absent."""
    if name not in claims and not needed:
        return ""
    value = claims.get(name)
    if not isinstance(value, str) or not chars_min <= len(value) <= chars_max or not _is_plain(value):
        raise DPOP_MALFORMED(
            f"the proof needs `{name}` of {chars_min} to {chars_max} printable ASCII characters"
        )
    return value


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()
