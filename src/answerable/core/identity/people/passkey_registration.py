"""Verify the registration of a new passkey, and convert it to the stored form (WebAuthn Level 3, 7.1).

Laws: the device states that it verified its user; attestation of the device model is recorded and has no other effect,
since most personal devices do not provide it; only configured roots attest; if the attestation certificate names a
model, it is the model of the device (8.2: `id-fido-gen-ce-aaguid`).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.base64url import to_base64url
from answerable.core.identity.people.passkey import (
    ALGORITHMS,
    CLIENT_DATA_BYTES_MAX,
    CREDENTIAL_ID_BYTES_MAX,
    LABEL_CHARS_MAX,
    TRANSPORTS,
    Passkey,
    check_algorithm,
    check_ceremony,
    octets_in,
)
from answerable.errors import Unverified
from answerable.errors.codes.people import (
    PASSKEY_ALGORITHM,
    PASSKEY_ATTESTATION,
    PASSKEY_LABEL,
    PASSKEY_MALFORMED,
    PASSKEY_OTHER,
    PASSKEY_RP,
    PASSKEY_USER,
)
from answerable.extras import require_replay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webauthn.registration.verify_registration_response import VerifiedRegistration

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis

ATTESTATION_BYTES_MAX: Final = 65_536
_MEMBERS: Final = frozenset({"credential_id", "client_data", "attestation", "transports"})
_MODEL_OID: Final = "1.3.6.1.4.1.45724.1.1.4"
_OCTETS_16: Final = b"\x04\x10"
"""DER header of an octet string of 16 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyRegistration:
    """A new passkey as a browser returns it. attestation: the attestation object, CBOR."""

    credential_id: bytes
    client_data: bytes
    attestation: bytes
    transports: tuple[str, ...]


def registration_in(members: JSONValue) -> PasskeyRegistration:
    """Read a registration from JSON whose octets are base64url. Unknown transports are omitted.

    Raises Malformed (`passkey.malformed`).
    """
    if not isinstance(members, dict) or members.keys() != _MEMBERS:
        raise PASSKEY_MALFORMED("a registration has credential_id, client_data, attestation and transports")
    told = members["transports"]
    if not isinstance(told, list):
        raise PASSKEY_MALFORMED("`transports` is not a list")
    return PasskeyRegistration(
        credential_id=octets_in(members, "credential_id", CREDENTIAL_ID_BYTES_MAX),
        client_data=octets_in(members, "client_data", CLIENT_DATA_BYTES_MAX),
        attestation=octets_in(members, "attestation", ATTESTATION_BYTES_MAX),
        transports=tuple(one for one in TRANSPORTS if one in told),
    )


def registered(
    registration: PasskeyRegistration,
    *,
    challenge: bytes,
    rp_id: str,
    origins: Sequence[str],
    person: PrincipalId,
    label: str,
    now: UnixMillis,
    roots: Sequence[bytes] = (),
) -> Passkey:
    """Verify a new passkey of a person. label: the person's name for it. roots: PEM certificates that are trusted to
    attest device models; if one attests the device, the passkey is `attested`. Certificates are checked at this
    machine's current time.

    Raises Malformed (`passkey.malformed`, `passkey.label`), Unverified (`passkey.type`, `passkey.challenge`,
    `passkey.origin`, `passkey.frame`, `passkey.rp`, `passkey.user`, `passkey.algorithm`, `passkey.attestation`).
    """
    check_ceremony(registration.client_data, wanted="webauthn.create", challenge=challenge, origins=origins)
    made, attested = _verified(registration, challenge, rp_id, origins, roots)
    _check_model(registration.attestation, bytes.fromhex(made.aaguid.replace("-", "")))
    if made.credential_id != registration.credential_id:
        raise PASSKEY_OTHER("the passkey is another one than its id says")
    return Passkey(
        id=made.credential_id,
        public_key=made.credential_public_key,
        key=check_algorithm(made.credential_public_key),
        person=person,
        label=checked_label(label),
        rp_id=rp_id,
        aaguid=made.aaguid,
        sign_count=made.sign_count,
        backup_eligible=made.credential_device_type.value == "multi_device",
        transports=registration.transports,
        created_at=now,
        attested=attested,
    )


def checked_label(label: str) -> str:
    """Check a person's name for a passkey: 1 to 60 printable characters. Raises Malformed (`passkey.label`)."""
    text = " ".join(label.split())
    if not 0 < len(text) <= LABEL_CHARS_MAX or not text.isprintable():
        raise PASSKEY_LABEL(f"the label must have 1 to {LABEL_CHARS_MAX} printable characters")
    return text


def _verified(
    registration: PasskeyRegistration,
    challenge: bytes,
    rp_id: str,
    origins: Sequence[str],
    roots: Sequence[bytes],
) -> tuple[VerifiedRegistration, bool]:
    require_replay("webauthn", "passkeys cannot be checked")
    from webauthn.helpers.structs import AttestationFormat

    if roots:
        try:
            made = _checked(registration, challenge, rp_id, origins, roots)
        except Unverified:
            pass
        else:
            # For other formats the library also trusts built-in roots, in addition to the configured ones.
            ours = (AttestationFormat.PACKED, AttestationFormat.FIDO_U2F, AttestationFormat.TPM)
            return made, made.fmt in ours and _has_chain(registration.attestation)
    return _checked(registration, challenge, rp_id, origins, ()), False


def _checked(
    registration: PasskeyRegistration,
    challenge: bytes,
    rp_id: str,
    origins: Sequence[str],
    roots: Sequence[bytes],
) -> VerifiedRegistration:
    from webauthn import verify_registration_response
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.exceptions import InvalidRegistrationResponse
    from webauthn.helpers.structs import (
        AttestationFormat,
        AuthenticatorAttestationResponse,
        RegistrationCredential,
    )

    credential = RegistrationCredential(
        id=to_base64url(registration.credential_id),
        raw_id=registration.credential_id,
        response=AuthenticatorAttestationResponse(
            client_data_json=registration.client_data, attestation_object=registration.attestation
        ),
    )
    by_format = {form: [*roots] for form in AttestationFormat} if roots else None
    try:
        return verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=list(origins),
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(one) for one in ALGORITHMS],
            pem_root_certs_bytes_by_fmt=by_format,
        )
    except InvalidRegistrationResponse as fault:
        raise _refused(str(fault)) from None
    except Exception as fault:  # untrusted bytes: any failure means that this is no passkey
        raise PASSKEY_MALFORMED(f"the attestation cannot be read: {type(fault).__name__}") from None


_WORDS: Final = (
    ("RP ID", PASSKEY_RP, "the passkey is bound to another name than that of this console"),
    (
        "User verification",
        PASSKEY_USER,
        "the device did not verify its user: set up a PIN, fingerprint or face recognition on it",
    ),
    ("User presence", PASSKEY_USER, "the device says that nobody touched it"),
    ("public key alg", PASSKEY_ALGORITHM, "the device offers none of EdDSA, ES256 and RS256"),
)


def _refused(said: str) -> Unverified:
    for part, code, message in _WORDS:
        if part in said:
            return code(message)
    return PASSKEY_ATTESTATION()


def _check_model(attestation: bytes, model: bytes) -> None:
    """Compare the model in the attestation certificate, if it names one, with that of the device. py_webauthn omits
    this check.

    FIDO U2F devices name no model, so that format has nothing to compare. Raises Unverified, Malformed.
    """
    from cryptography import x509
    from webauthn.helpers import parse_attestation_object
    from webauthn.helpers.structs import AttestationFormat

    parsed = parse_attestation_object(attestation)
    if parsed.fmt not in (AttestationFormat.PACKED, AttestationFormat.TPM) or not parsed.att_stmt.x5c:
        return
    try:
        extensions = x509.load_der_x509_certificate(parsed.att_stmt.x5c[0]).extensions
        told = extensions.get_extension_for_oid(x509.ObjectIdentifier(_MODEL_OID))
    except x509.ExtensionNotFound:
        return
    except ValueError as fault:
        raise PASSKEY_MALFORMED(f"the attesting certificate cannot be read: {type(fault).__name__}") from None
    said = told.value.value if isinstance(told.value, x509.UnrecognizedExtension) else b""
    if told.critical or not hmac.compare_digest(said, _OCTETS_16 + model):
        raise _refused("the model")


def _has_chain(attestation: bytes) -> bool:
    """Whether the attestation has a certificate chain: a self-attested device proves nothing about its model."""
    from webauthn.helpers import parse_attestation_object

    return bool(parse_attestation_object(attestation).att_stmt.x5c)
