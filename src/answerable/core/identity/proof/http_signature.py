"""Proof of possession in an HTTP message: one strict profile of HTTP Message Signatures (RFC 9421).

   Content-Digest: sha-256=:<digest of the body, also of an empty one>:
   Signature-Input: answerable=("@method" "@authority" "@request-target" "content-digest" "answerable-mandate"
       "answerable-delegation");created=<Unix seconds>;keyid="<key or session>";alg="<algorithm>";nonce="<nonce>";
       tag="answerable-1"
   Signature: answerable=:<signature or MAC>:

Laws:
- each meaning has one text: order, spacing and base64 are fixed, so any other spelling is refused, and nothing is
 normalised before it is checked;
- `answerable-mandate` and `answerable-delegation` are covered exactly when the header is present;
- the grammar binds algorithm, key name and nonce: a MAC never names a key, a signature never a session.

`docs/reference/wire/proof-of-possession.md` is the specification.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

from answerable.errors.codes.tlog import PROOF_CREDENTIAL, PROOF_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ProofAlgorithm = Literal["ed25519", "ecdsa-p256-sha256", "hmac-sha256"]

TAG: Final = "answerable-1"
MANDATE_HEADER: Final = "answerable-mandate"
DELEGATION_HEADER: Final = "answerable-delegation"
TARGET_BYTES_MAX: Final = 2048
DELEGATION_BYTES_MAX: Final = 32_768
"""Maximum length of a delegation chain in one header field; longer chains go into the message."""
UNKNOWN_EPOCH: Final = "0" * 26
"""Epoch that a signer uses before a refusal has told it the current epoch."""
SEQUENCE_MAX: Final = 10**15 - 1

# By whether the mandate and whether the delegation is covered.
_COVERED: Final = {
    (mandate, delegation): b'("@method" "@authority" "@request-target" "content-digest"%b%b)'
    % (b' "answerable-mandate"' if mandate else b"", b' "answerable-delegation"' if delegation else b"")
    for mandate in (False, True)
    for delegation in (False, True)
}
# Groups: 1 the parameters as signed, 2 mandate covered, 3 delegation covered, 4 created, then either 5 thumbprint, 6
# algorithm, 7 epoch, 8 random part, or 9 session, 10 sequence number.
_INPUT: Final = re.compile(
    rb'answerable=(\("@method" "@authority" "@request-target" "content-digest"( "answerable-mandate")?'
    rb'( "answerable-delegation")?\)'
    rb";created=([1-9][0-9]{0,10})"
    rb'(?:;keyid="([A-Za-z0-9_-]{43})";alg="(ed25519|ecdsa-p256-sha256)"'
    rb';nonce="([0-9a-z]{26})\.([A-Za-z0-9_-]{22})"'
    rb'|;keyid="([0-9a-z]{26})";alg="hmac-sha256";nonce="([1-9][0-9]{0,14})")'
    rb';tag="answerable-1")'
)
# The last character before the padding has spare bits; only the spelling in which they are zero is accepted.
_SIGNATURE: Final = re.compile(rb"answerable=:([A-Za-z0-9+/]{85}[AQgw]==):")
_MAC: Final = re.compile(rb"answerable=:([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=):")
_METHOD: Final = re.compile(r"[A-Z]{1,16}")
_TARGET: Final = re.compile(rb"/[!-~]{0,%d}" % (TARGET_BYTES_MAX - 1))
_AUTHORITY: Final = re.compile(rb"[a-z0-9._:\[\]-]{1,255}")
_MANDATE: Final = re.compile(rb"[!-~]{1,200}")
_DELEGATION: Final = re.compile(rb"[A-Za-z0-9_.~-]{1,%d}" % DELEGATION_BYTES_MAX)

# Positions of the fields that are read, by lower-case name as in ASGI.
_HOST, _DIGEST, _SIGNATURE_INPUT, _SIGNATURE_VALUE, _MANDATE_VALUE, _DELEGATION_VALUE = range(6)
_FIELDS: Final = {
    b"host": _HOST,
    b"content-digest": _DIGEST,
    b"signature-input": _SIGNATURE_INPUT,
    b"signature": _SIGNATURE_VALUE,
    MANDATE_HEADER.encode(): _MANDATE_VALUE,
    DELEGATION_HEADER.encode(): _DELEGATION_VALUE,
    b"authorization": -1,
    b"proxy-authorization": -1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """The parts of one HTTP request that a proof covers, as received, and the proof. Untrusted.

    target: path and query as on the wire. authority: the Host field. mandate, delegation: the fields Answerable-Mandate
    and Answerable-Delegation, empty when absent. A message without `signature_input` and `signature` carries no proof
    of its own.
    """

    method: bytes
    authority: bytes
    target: bytes
    body: bytes
    mandate: bytes = b""
    delegation: bytes = b""
    content_digest: bytes = b""
    signature_input: bytes = b""
    signature: bytes = b""

    @property
    def mandate_id(self) -> str:
        """The mandate that the caller names, empty for none. Trust it only as far as the proof over this message."""
        return self.mandate.decode("ascii")

    @property
    def chain(self) -> str:
        """The hops that the caller names, root first, joined by `~`; empty for none. Trust them only as far as the
        proof."""
        return self.delegation.decode("ascii")


class Signature(NamedTuple):
    """A parsed proof. A named tuple, since one is made for every message, at a quarter of the cost of a frozen
    dataclass.

    parameters: the bytes of `@signature-params` as received. keyid: thumbprint of the key, or the session. nonce: 22
    characters, or the sequence number. epoch: empty for a MAC. created: Unix seconds. value: 64 bytes of a signature,
    32 of a MAC.
    """

    parameters: bytes
    algorithm: ProofAlgorithm
    keyid: str
    created: int
    epoch: str
    nonce: str
    value: bytes


def request_from_http(
    method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> SignedRequest:
    """Extract the parts of a request that a proof covers. headers: with lower-case names, as in ASGI. target: path and
    query.

    Raises Unverified: step `credential` if the message carries any Authorization field, since bearer secrets are
    accepted nowhere; step `proof` if a field occurs twice or violates its grammar.
    """
    found: list[bytes | None] = [None, None, None, None, None, None]
    for name, value in headers:
        position = _FIELDS.get(name)
        if position is not None:
            if position < 0:
                raise PROOF_CREDENTIAL("bearer credentials are not accepted: prove possession of a key")
            if found[position] is not None:
                raise PROOF_MALFORMED("a field that the proof covers is present twice")
            found[position] = value
    host, digest, signature_input, signature, mandate, delegation = found
    if host is None or not _AUTHORITY.fullmatch(host):
        raise PROOF_MALFORMED("the Host field is missing or not in lower case")
    if not _METHOD.fullmatch(method) or not _TARGET.fullmatch(target):
        raise PROOF_MALFORMED("method or target is not in the form that can be signed")
    if mandate is not None and not _MANDATE.fullmatch(mandate):
        raise PROOF_MALFORMED("the Answerable-Mandate field must hold 1 to 200 printable characters")
    if delegation is not None and not _DELEGATION.fullmatch(delegation):
        raise PROOF_MALFORMED(
            f"the Answerable-Delegation field must hold tokens of at most {DELEGATION_BYTES_MAX} characters"
        )
    if (signature_input is None) != (signature is None) or signature_input == b"":
        raise PROOF_MALFORMED(
            "Signature and Signature-Input must both be present and not empty, or both absent"
        )
    return SignedRequest(
        method=method.encode("ascii"),
        authority=host,
        target=target,
        body=body,
        mandate=mandate or b"",
        delegation=delegation or b"",
        content_digest=digest or b"",
        signature_input=signature_input or b"",
        signature=signature or b"",
    )


def parse_signature(message: SignedRequest) -> Signature:
    """Parse the proof of a message. Raises Unverified (step `proof`) for anything outside the grammar."""
    match = _INPUT.fullmatch(message.signature_input)
    if (
        match is None
        or (match[2] is None) != (message.mandate == b"")
        or (match[3] is None) != (message.delegation == b"")
    ):
        raise PROOF_MALFORMED("Signature-Input does not follow the grammar of `answerable-1`")
    parameters, _, _, created, thumbprint, algorithm, epoch, nonce, session, sequence = match.groups()
    value = (_SIGNATURE if session is None else _MAC).fullmatch(message.signature)
    if value is None:
        raise PROOF_MALFORMED("Signature does not follow the grammar of `answerable-1`")
    # Positional arguments: naming seven members would cost as much as parsing the field.
    if session is None:
        named = cast("ProofAlgorithm", algorithm.decode("ascii"))
        keyid, epoch_text, nonce_text = (
            thumbprint.decode("ascii"),
            epoch.decode("ascii"),
            nonce.decode("ascii"),
        )
        return Signature(parameters, named, keyid, int(created), epoch_text, nonce_text, a2b_base64(value[1]))
    keyid, nonce_text = session.decode("ascii"), sequence.decode("ascii")
    return Signature(parameters, "hmac-sha256", keyid, int(created), "", nonce_text, a2b_base64(value[1]))


def digest_field(digest: bytes) -> bytes:
    """Return the Content-Digest field (RFC 9530) for a SHA-256 digest, 32 bytes."""
    return b"sha-256=:%b:" % b2a_base64(digest, newline=False)


def signature_base(message: SignedRequest, parameters: bytes) -> bytes:
    """Return the bytes that are signed (RFC 9421 section 2.5)."""
    named = b'"answerable-mandate": %b\n' % message.mandate if message.mandate else b""
    if message.delegation:
        named += b'"answerable-delegation": %b\n' % message.delegation
    return (
        b'"@method": %b\n"@authority": %b\n"@request-target": %b\n"content-digest": %b\n%b"@signature-params": %b'
        % (message.method, message.authority, message.target, message.content_digest, named, parameters)
    )


def sign_request(
    message: SignedRequest,
    *,
    algorithm: ProofAlgorithm,
    keyid: str,
    created: int,
    nonce: str,
    sign: Callable[[bytes], bytes],
) -> SignedRequest:
    """Return the message with digest, input and signature filled in. nonce: `<epoch>.<22 characters>`, or a sequence
    number.

    Raises Unverified (step `proof`) if a verifier would refuse the form of the result, so that the signer detects this
    first.
    """
    parameters = b'%b;created=%d;keyid="%b";alg="%b";nonce="%b";tag="answerable-1"' % (
        _COVERED[message.mandate != b"", message.delegation != b""],
        created,
        keyid.encode("ascii"),
        algorithm.encode("ascii"),
        nonce.encode("ascii"),
    )
    ready = replace(
        message,
        content_digest=digest_field(sha256(message.body).digest()),
        signature_input=b"answerable=" + parameters,
    )
    signed = replace(
        ready,
        signature=b"answerable=:%b:" % b2a_base64(sign(signature_base(ready, parameters)), newline=False),
    )
    parse_signature(signed)
    return signed
