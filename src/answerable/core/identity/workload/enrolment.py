"""Enrolment requests of workloads: make and verify the proof that the workload holds the keys that it names.

Laws: a self-proof covers one challenge, one trust domain and every other member of the request, so that it is good for
this request alone, and nobody can replace a key in it; of a certificate request only the key is used.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode
from answerable.core.identity.keys.compact_jws import TokenCodes, signed_statement, verified_claims
from answerable.core.identity.keys.keys import public_key
from answerable.errors import shown
from answerable.errors.codes.workloads import (
    ENROLMENT_ALGORITHM,
    ENROLMENT_AUDIENCE,
    ENROLMENT_CSR,
    ENROLMENT_CSR_SIGNATURE,
    ENROLMENT_KEY,
    ENROLMENT_MALFORMED,
    ENROLMENT_OTHER_REQUEST,
    ENROLMENT_SIGNATURE,
    ENROLMENT_TYPE,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey, SigningKey
    from answerable.core.identity.names.spiffe_id import TrustDomain

PROOF_TYP: Final = "answerable-enrol+jwt"
PROOF_CHARS_MAX: Final = 2048
CSR_BYTES_MAX: Final = 4096

_CLAIMS: Final = frozenset({"aud", "challenge", "request"})


def enrolment_proof(
    request: Mapping[str, JSONValue], *, challenge: str, domain: TrustDomain, key: SigningKey
) -> str:
    """Make the self-proof: a compact JWS by the key to enrol, for the member `proof`. Raises Malformed."""
    claims: dict[str, JSONValue] = {
        "aud": domain,
        "challenge": challenge,
        "request": _digest_of(request),
    }
    return signed_statement(claims, typ=PROOF_TYP, key=key)


def verified_enrolment_proof(
    token: str, request: Mapping[str, JSONValue], *, key: PublicKey, domain: TrustDomain
) -> str:
    """Verify that `key` signed this request, and return the challenge. The caller checks that the challenge is ours and
    fresh.

    request: without the member `proof`. Raises Malformed (`enrolment.malformed`), Unverified (`enrolment.*`).
    """
    if len(token) > PROOF_CHARS_MAX:
        raise ENROLMENT_MALFORMED(f"a proof has at most {PROOF_CHARS_MAX} characters")
    claims = verified_claims(
        token,
        typ=PROOF_TYP,
        codes=TokenCodes(
            malformed=ENROLMENT_MALFORMED,
            type=ENROLMENT_TYPE,
            algorithm=ENROLMENT_ALGORITHM,
            key=ENROLMENT_KEY,
            signature=ENROLMENT_SIGNATURE,
        ),
        issuer_of=lambda _: key.thumbprint,
        keys_of=lambda _: (key,),
    )
    challenge, digest = claims.get("challenge"), claims.get("request")
    if claims.keys() != _CLAIMS or not isinstance(challenge, str) or not isinstance(digest, str):
        raise ENROLMENT_MALFORMED("a proof must have claims `aud`, `challenge` and `request`")
    if claims["aud"] != domain:
        raise ENROLMENT_AUDIENCE(
            f"audience of the proof is {shown(claims['aud'])}, expected this trust domain"
        )
    if not hmac.compare_digest(digest.encode("utf-8", "replace"), _digest_of(request).encode("ascii")):
        raise ENROLMENT_OTHER_REQUEST()
    return challenge


def enrolled_key(value: JSONValue) -> PublicKey:
    """Read the proof key that a request names: a public JWK. Raises Malformed (`enrolment.malformed`, `key.*`)."""
    if not isinstance(value, dict):
        raise ENROLMENT_MALFORMED("`key` is a public JWK")
    return public_key(value)


def certificate_request_key(der: bytes) -> ec.EllipticCurvePublicKey:
    """Return the P-256 key that signed this certificate request (RFC 2986, section 4.2).

    Requested names and extensions are ignored: the instance determines the content of its certificate. Raises Malformed
    (`enrolment.csr`) and Unverified (`enrolment.csr_signature`).
    """
    if len(der) > CSR_BYTES_MAX:
        raise ENROLMENT_CSR(f"a certificate request has at most {CSR_BYTES_MAX} bytes")
    try:
        request = x509.load_der_x509_csr(der)
        key = request.public_key()
        signed = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        raise ENROLMENT_CSR("the certificate request cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ENROLMENT_CSR("the certificate request is for another key than one on P-256")
    if not signed:
        raise ENROLMENT_CSR_SIGNATURE()
    return key


def ec_thumbprint(key: ec.EllipticCurvePublicKey) -> str:
    """Return the RFC 7638 SHA-256 thumbprint of a P-256 key, as for keys of callers."""
    numbers = key.public_numbers()
    x, y = (to_base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    return public_key({"crv": "P-256", "kty": "EC", "x": x, "y": y}).thumbprint


def spki_digest(key: ec.EllipticCurvePublicKey) -> str:
    """Return the SHA-256 of the SubjectPublicKeyInfo, hex: the key that a certificate is bound to, as the ledger
    records it."""
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _digest_of(request: Mapping[str, JSONValue]) -> str:
    return sha256(encode(dict(request))).hexdigest()
