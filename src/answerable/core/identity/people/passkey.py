"""Passkeys of people: the stored form of a passkey, and the verification of its assertions (WebAuthn Level 3, 7.1 and
7.2).

Laws:
- the device states that it verified its user: user presence alone is not enough;
- an assertion is good for one challenge, at the console's own pages, and not inside a frame of another site;
- the algorithm follows from the registered key, and only algorithms of a short list are registered;
- the verification depends on neither time nor browser: a third party gets the same result years later.

py_webauthn checks what the standard requires of the bytes. This module's own checks run first: they give clearer
errors, and refuse what the library does not check: frames of other sites, and duplicate members.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.base64url import to_base64url
from answerable.core.canonical import Limits, parse
from answerable.errors import Malformed, shown
from answerable.errors.codes.people import (
    PASSKEY_ALGORITHM,
    PASSKEY_CHALLENGE,
    PASSKEY_COUNTER,
    PASSKEY_FRAME,
    PASSKEY_FULL,
    PASSKEY_MALFORMED,
    PASSKEY_ORIGIN,
    PASSKEY_OTHER,
    PASSKEY_RP,
    PASSKEY_SIGNATURE,
    PASSKEY_TYPE,
    PASSKEY_USER,
)
from answerable.extras import require_replay

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis

ALGORITHMS: Final = (-8, -7, -257)
"""COSE algorithms of keys that can be registered, the preferred first: EdDSA, ES256, and RS256 for TPMs of older
PCs."""
RSA_BITS_MIN: Final = 2048
CREDENTIAL_ID_BYTES_MAX: Final = 1023
"""WebAuthn Level 3, 4: maximum length of a credential id."""
PUBLIC_KEY_BYTES_MAX: Final = 2048
CLIENT_DATA_BYTES_MAX: Final = 4096
AUTHENTICATOR_DATA_BYTES_MAX: Final = 4096
SIGNATURE_BYTES_MAX: Final = 2048
LABEL_CHARS_MAX: Final = 60
TRANSPORTS: Final = ("ble", "cable", "hybrid", "internal", "nfc", "smart-card", "usb")
CHALLENGE_BYTES: Final = 32
PASSKEYS_MAX: Final = 100_000
"""Most passkeys stored at a time, of all people."""
PASSKEYS_OF_ONE_MAX: Final = 20
"""Most passkeys of one person."""

_RP_HASH_END: Final = 32
_FLAGS_AT: Final = 32
_COUNT_END: Final = 37
_USER_PRESENT: Final = 0x01
_USER_VERIFIED: Final = 0x04
_CLIENT_DATA: Final = Limits(size_bytes_max=CLIENT_DATA_BYTES_MAX, depth_max=4)
_ASSERTION_MEMBERS: Final = frozenset({"credential_id", "client_data", "authenticator_data", "signature"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A credential of one person. id: 1 to 1023 bytes. public_key: COSE_Key. key: its thumbprint (RFC 9679), by which
    the passkey is held and revoked like other keys. rp_id: the relying party id that it is bound to. aaguid: the model
    of its device, as the device states it. sign_count: the last reported count. backup_eligible: whether it may be
    copied to other devices. transports: how browsers reach it. attested: whether a configured root attests the device
    model."""

    id: bytes
    public_key: bytes
    key: str
    person: PrincipalId
    label: str
    rp_id: str
    aaguid: str
    sign_count: int
    backup_eligible: bool
    transports: tuple[str, ...]
    created_at: UnixMillis
    attested: bool

    @property
    def name(self) -> str:
        """The credential id in base64url, the form used in all texts."""
        return to_base64url(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyAssertion:
    """A passkey's assertion as a browser returns it: all bytes as received, which is what evidence stores."""

    credential_id: bytes
    client_data: bytes
    authenticator_data: bytes
    signature: bytes

    def members(self) -> dict[str, JSONValue]:
        """Return the assertion as JSON, with octets in base64url."""
        return {
            "authenticator_data": to_base64url(self.authenticator_data),
            "client_data": to_base64url(self.client_data),
            "credential_id": to_base64url(self.credential_id),
            "signature": to_base64url(self.signature),
        }


def assertion_in(members: JSONValue) -> PasskeyAssertion:
    """Read what `members` wrote. Raises Malformed (`passkey.malformed`)."""
    if not isinstance(members, dict) or members.keys() != _ASSERTION_MEMBERS:
        raise PASSKEY_MALFORMED(
            "an assertion has credential_id, client_data, authenticator_data and signature"
        )
    return PasskeyAssertion(
        credential_id=octets_in(members, "credential_id", CREDENTIAL_ID_BYTES_MAX),
        client_data=octets_in(members, "client_data", CLIENT_DATA_BYTES_MAX),
        authenticator_data=octets_in(members, "authenticator_data", AUTHENTICATOR_DATA_BYTES_MAX),
        signature=octets_in(members, "signature", SIGNATURE_BYTES_MAX),
    )


def asserted(
    assertion: PasskeyAssertion,
    *,
    credential_id: bytes,
    public_key: bytes,
    challenge: bytes,
    rp_id: str,
    origins: Sequence[str],
    sign_count: int = 0,
) -> int:
    """Check an assertion of one credential, and return the new sign count.

    credential_id, public_key: of the registered passkey. challenge: the bytes that had to be signed. origins: origins
    of the pages at which signing is permitted. sign_count: the last reported count; 0 if none is stored.

    Raises Malformed (`passkey.malformed`), Unverified (`passkey.other`, `passkey.type`, `passkey.challenge`,
    `passkey.origin`, `passkey.frame`, `passkey.rp`, `passkey.user`, `passkey.counter`, `passkey.algorithm`,
    `passkey.signature`), Unavailable (`extra.missing`) if everything that is checked before the key is valid.
    """
    if not hmac.compare_digest(assertion.credential_id, credential_id):
        raise PASSKEY_OTHER("the assertion is of another passkey")
    check_ceremony(assertion.client_data, wanted="webauthn.get", challenge=challenge, origins=origins)
    count = _counted(assertion.authenticator_data, rp_id)
    if (count or sign_count) and count <= sign_count:
        raise PASSKEY_COUNTER(
            f"the signature counter of the passkey is {count}, expected more than {sign_count}: it "
            "may have been copied, so remove it"
        )
    check_algorithm(public_key)
    _check_signature(
        assertion, public_key=public_key, challenge=challenge, rp_id=rp_id, origins=origins, count=sign_count
    )
    return count


def check_ceremony(client_data: bytes, *, wanted: str, challenge: bytes, origins: Sequence[str]) -> None:
    """Check the browser's client data: the kind of ceremony, the challenge, the origin, and that no other site framed
    the page. Raises as `asserted`."""
    try:
        said = parse(client_data, limits=_CLIENT_DATA)
    except Malformed as fault:
        raise PASSKEY_MALFORMED(f"the client data is not JSON: {fault.message}") from None
    if not isinstance(said, dict):
        raise PASSKEY_MALFORMED("the client data is not a JSON object")
    if said.get("type") != wanted:
        raise PASSKEY_TYPE(f"`type` of the client data is {shown(said.get('type'), 40)}, expected `{wanted}`")
    found = said.get("challenge")
    if not isinstance(found, str) or not hmac.compare_digest(
        found.encode("utf-8", "replace"), to_base64url(challenge).encode()
    ):
        raise PASSKEY_CHALLENGE("the passkey signed another challenge than the one issued: start again")
    origin = said.get("origin")
    if origin not in origins:
        listed = ", ".join(f"`{one}`" for one in origins)
        raise PASSKEY_ORIGIN(f"the passkey was used at origin {shown(origin)}, expected {listed}")
    if said.get("crossOrigin", False) is not False or "topOrigin" in said:
        raise PASSKEY_FRAME("the passkey was used in a frame of another site")


def check_algorithm(public_key: bytes) -> str:
    """Return the thumbprint of a COSE key (RFC 9679) with a permitted algorithm.

    Raises Malformed (`passkey.malformed`), Unverified (`passkey.algorithm`), Unavailable (`extra.missing`).
    """
    require_replay("webauthn", "signatures by passkeys cannot be checked")
    # Imported on use: half of what webauthn imports is for attestations, and only passkey checks should pay for it.
    from webauthn.helpers import (
        decode_credential_public_key,
        decoded_public_key_to_cryptography,
        encode_cbor,
    )
    from webauthn.helpers.decode_credential_public_key import (
        DecodedEC2PublicKey,
        DecodedOKPPublicKey,
        DecodedRSAPublicKey,
    )

    # The library would also accept a bare curve point, as very old devices sent, and guess the algorithm.
    if not 0 < len(public_key) <= PUBLIC_KEY_BYTES_MAX or public_key[0] >> 5 != 5:
        raise PASSKEY_MALFORMED("the public key is not a COSE key")
    try:
        key = decode_credential_public_key(public_key)
        # Detects a point off its curve, or a number in place of octets, now instead of at the first signature.
        decoded_public_key_to_cryptography(key)
    except Exception as fault:
        raise _unreadable("the public key", fault) from None
    if not isinstance(key.alg, int) or key.alg not in ALGORITHMS:
        raise PASSKEY_ALGORITHM(f"a passkey signs by EdDSA, ES256 or RS256, not {shown(key.alg, 20)}")
    if isinstance(key, DecodedEC2PublicKey) and key.crv == 1 and key.alg == -7:
        return _thumbprint(encode_cbor({1: int(key.kty), -1: int(key.crv), -2: key.x, -3: key.y}))
    if isinstance(key, DecodedOKPPublicKey) and key.crv == 6 and key.alg == -8:
        return _thumbprint(encode_cbor({1: int(key.kty), -1: int(key.crv), -2: key.x}))
    if isinstance(key, DecodedRSAPublicKey) and key.alg == -257:
        if int.from_bytes(key.n).bit_length() >= RSA_BITS_MIN:
            return _thumbprint(encode_cbor({1: int(key.kty), -1: key.n, -2: key.e}))
        raise PASSKEY_ALGORITHM(f"an RSA key has at least {RSA_BITS_MIN} bits")
    raise PASSKEY_ALGORITHM("the key does not match its algorithm")


def check_room(person: PrincipalId, *, held: int, all_held: int, all_max: int = PASSKEYS_MAX) -> None:
    """Check that one more passkey of a person fits. Raises Malformed (`passkey.full`)."""
    if held >= PASSKEYS_OF_ONE_MAX:
        raise PASSKEY_FULL(f"{shown(person)} has {held} passkeys, which is the limit: remove one first")
    if all_held >= all_max:
        raise PASSKEY_FULL(f"there are {all_held} passkeys, which is the limit")


def octets_in(members: Mapping[str, JSONValue], name: str, bytes_max: int) -> bytes:
    """Decode 1 to `bytes_max` octets from canonical base64url. Raises Malformed (`passkey.malformed`)."""
    text = members.get(name)
    octets = b""
    if isinstance(text, str) and text.isascii() and len(text) <= bytes_max * 4 // 3 + 4:
        try:
            octets = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            octets = b""
    if not 0 < len(octets) <= bytes_max or to_base64url(octets) != text:
        raise PASSKEY_MALFORMED(f"`{name}` is not 1 to {bytes_max} octets in base64url")
    return octets


def check_user(flags: int) -> None:
    """Check that the device reports user presence and user verification. Raises Unverified (`passkey.user`)."""
    if not flags & _USER_PRESENT or not flags & _USER_VERIFIED:
        raise PASSKEY_USER(
            "the device did not verify its user: set up a PIN, fingerprint or face recognition on it"
        )


def _counted(data: bytes, rp_id: str) -> int:
    """Check the authenticator data, and return its sign count. Raises as `asserted`."""
    if not _COUNT_END <= len(data) <= AUTHENTICATOR_DATA_BYTES_MAX:
        raise PASSKEY_MALFORMED(f"authenticator data of {len(data)} bytes")
    if not hmac.compare_digest(data[:_RP_HASH_END], sha256(rp_id.encode()).digest()):
        raise PASSKEY_RP(f"the passkey is bound to another relying party than {shown(rp_id)}")
    check_user(data[_FLAGS_AT])
    return int.from_bytes(data[_FLAGS_AT + 1 : _COUNT_END])


def _check_signature(
    assertion: PasskeyAssertion,
    *,
    public_key: bytes,
    challenge: bytes,
    rp_id: str,
    origins: Sequence[str],
    count: int,
) -> None:
    from webauthn import verify_authentication_response
    from webauthn.helpers.structs import AuthenticationCredential, AuthenticatorAssertionResponse

    credential = AuthenticationCredential(
        id=to_base64url(assertion.credential_id),
        raw_id=assertion.credential_id,
        response=AuthenticatorAssertionResponse(
            client_data_json=assertion.client_data,
            authenticator_data=assertion.authenticator_data,
            signature=assertion.signature,
        ),
    )
    try:
        verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=list(origins),
            credential_public_key=public_key,
            credential_current_sign_count=count,
            require_user_verification=True,
        )
    except Exception as fault:  # untrusted bytes: any failure means that this is no proof
        raise PASSKEY_SIGNATURE(f"the signature is invalid: {type(fault).__name__}") from None


def _thumbprint(cbor: bytes) -> str:
    return to_base64url(sha256(cbor).digest())


def _unreadable(what: str, fault: Exception) -> Malformed:
    return PASSKEY_MALFORMED(f"{what} cannot be read: {type(fault).__name__}")
