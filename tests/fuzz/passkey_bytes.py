"""What browsers, and whoever pretends to be one, hand over of passkeys, with samples to begin from."""

from __future__ import annotations

from typing import Final

from answerable.core.base64url import to_base64url
from answerable.core.canonical import JSONValue, encode, parse
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.identity.people.invitation import invitation_digest
from answerable.core.identity.people.passkey import PasskeyAssertion, asserted, assertion_in, check_algorithm
from answerable.core.identity.people.passkey_form import passkey_in, passkey_members
from answerable.core.identity.people.passkey_registration import (
    PasskeyRegistration,
    registered,
    registration_in,
)
from answerable.testing.clock import START
from answerable.testing.contracts.passkey_register import sample_passkey
from answerable.testing.soft_passkey import ORIGIN, RP_ID, SoftPasskey

CHALLENGE: Final = bytes(range(32))
_PARTED: Final = b"\0\0parted\0\0"


def assertion(sent: bytes) -> None:
    """Three parts that a device signs; a good one must be the sample, whose signature nobody else can make."""
    device = SoftPasskey()
    parts = [*sent.split(_PARTED), b"", b""]
    given = PasskeyAssertion(
        credential_id=device.id, client_data=parts[0], authenticator_data=parts[1], signature=parts[2]
    )
    asserted(
        given, credential_id=device.id, public_key=device.public_key, challenge=CHALLENGE, rp_id=RP_ID,
        origins=[ORIGIN],
    )  # fmt: skip
    sample = device.assertion(CHALLENGE)
    assert (given.client_data, given.authenticator_data) == (sample.client_data, sample.authenticator_data)


def attestation(sent: bytes) -> None:
    """The object that a device makes with a passkey; what comes of it can be written down and read back."""
    device = SoftPasskey()
    made = device.registration(CHALLENGE)
    given = PasskeyRegistration(
        credential_id=device.id, client_data=made.client_data, attestation=sent, transports=()
    )
    passkey = registered(
        given, challenge=CHALLENGE, rp_id=RP_ID, origins=[ORIGIN], person=PrincipalId("alice"), label="phone",
        now=UnixMillis(START),
    )  # fmt: skip
    assert passkey_in(parse(encode(passkey_members(passkey)))) == passkey


def sent_assertion(sent: bytes) -> None:
    """JSON as our script sends it."""
    assert assertion_in(parse(sent)).members() == parse(sent)


def sent_registration(sent: bytes) -> None:
    """JSON as our script sends it."""
    registration_in(parse(sent))


def kept(sent: bytes) -> None:
    """JSON as a register keeps it."""
    passkey_in(parse(sent))


def key(sent: bytes) -> None:
    """A COSE key."""
    assert len(check_algorithm(sent)) == 43


def code(sent: bytes) -> None:
    """Of an invitation."""
    assert len(invitation_digest(sent.decode("utf-8", "replace"))) == 32


def samples() -> dict[str, tuple[bytes, ...]]:
    """By target."""
    device = SoftPasskey()
    signed, made = device.assertion(CHALLENGE), device.registration(CHALLENGE)
    sent: dict[str, JSONValue] = {
        "attestation": to_base64url(made.attestation),
        "client_data": to_base64url(made.client_data),
        "credential_id": to_base64url(made.credential_id),
        "transports": ["usb"],
    }
    return {
        "assertion": (_PARTED.join((signed.client_data, signed.authenticator_data, signed.signature)),),
        "attestation": (made.attestation,),
        "sent_assertion": (encode(signed.members()),),
        "sent_registration": (encode(sent),),
        "kept": (encode(passkey_members(sample_passkey())),),
        "key": (device.public_key,),
        "code": (b"ainv_" + b"A" * 22,),
    }
