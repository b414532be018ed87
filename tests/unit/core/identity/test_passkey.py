"""Passkeys are believed for what they sign, where they sign it, and when their device knows who holds it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from webauthn.helpers import encode_cbor

from answerable.core.canonical import encode, parse
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.identity.people.passkey import (
    Passkey,
    PasskeyAssertion,
    asserted,
    assertion_in,
    check_algorithm,
)
from answerable.core.identity.people.passkey_registration import registered, registration_in
from answerable.errors import AnswerableError, Malformed, Unverified
from answerable.testing.clock import START
from answerable.testing.soft_passkey import ORIGIN, RP_ID, UP, UV, SoftPasskey

pytestmark = pytest.mark.requirement("PASSKEY-01")

CHALLENGE = bytes(range(32))


def made(device: SoftPasskey, **changes: Any) -> Passkey:
    told = {
        "challenge": CHALLENGE, "rp_id": RP_ID, "origins": [ORIGIN], "person": PrincipalId("alice"),
        "label": "her phone", "now": UnixMillis(START),
    }  # fmt: skip
    registration = changes.pop("registration", None) or device.registration(CHALLENGE)
    return registered(registration, **{**told, **changes})


def checked(assertion: PasskeyAssertion, device: SoftPasskey, **changes: Any) -> int:
    told = {
        "credential_id": device.id, "public_key": device.public_key, "challenge": CHALLENGE, "rp_id": RP_ID,
        "origins": [ORIGIN],
    }  # fmt: skip
    return asserted(assertion, **{**told, **changes})


def refused(call: Any) -> str:
    with pytest.raises(AnswerableError) as raised:
        call()
    assert isinstance(raised.value, Unverified | Malformed)
    return raised.value.code


def test_what_a_device_made_is_kept_as_it_says():
    passkey = made(SoftPasskey())
    assert passkey.id == SoftPasskey().id
    assert (passkey.person, passkey.label, passkey.rp_id) == ("alice", "her phone", "localhost")
    assert (passkey.transports, passkey.backup_eligible, passkey.attested) == (("internal",), False, False)
    assert made(SoftPasskey(backup=True)).backup_eligible


def test_the_thumbprint_is_that_of_rfc_9679():
    # RFC 9679, section 6: its example key, and the thumbprint it gives.
    x = bytes.fromhex("65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d")
    y = bytes.fromhex("1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c")
    key = encode_cbor({1: 2, 3: -7, -1: 1, -2: x, -3: y})
    from answerable.core.base64url import to_base64url

    expected = bytes.fromhex("496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec")
    assert check_algorithm(key) == to_base64url(expected)


def test_a_good_assertion_tells_the_new_count_also_to_a_stranger_years_later():
    device = SoftPasskey(count=6)
    assertion = device.assertion(CHALLENGE)
    assert checked(assertion, device, sign_count=6) == 7
    kept = encode(assertion.members())
    assert checked(assertion_in(parse(kept)), device) == 7


def test_a_device_that_does_not_count_is_believed():
    device = SoftPasskey(counts=False)
    assert checked(device.assertion(CHALLENGE), device) == 0


@pytest.mark.parametrize(
    ("client", "flags", "changes", "code"),
    [
        ({"origin": "http://localhost.evil.example:8768"}, UP | UV, {}, "passkey.origin"),
        ({"origin": "http://localhost:9999"}, UP | UV, {}, "passkey.origin"),
        ({"crossOrigin": True}, UP | UV, {}, "passkey.frame"),
        ({"topOrigin": "https://evil.example"}, UP | UV, {}, "passkey.frame"),
        ({"type": "webauthn.create"}, UP | UV, {}, "passkey.type"),
        ({"challenge": "AAAA"}, UP | UV, {}, "passkey.challenge"),
        ({}, UP, {}, "passkey.user"),
        ({}, UV, {}, "passkey.user"),
        ({}, UP | UV, {"challenge": bytes(32)}, "passkey.challenge"),
        ({}, UP | UV, {"rp_id": "answerable.example"}, "passkey.rp"),
        ({}, UP | UV, {"sign_count": 1}, "passkey.counter"),
        ({}, UP | UV, {"credential_id": b"another"}, "passkey.other"),
        ({}, UP | UV, {"public_key": SoftPasskey(seed="another").public_key}, "passkey.signature"),
    ],
)
def test_an_assertion_that_is_not_what_was_asked_for_is_none(client, flags, changes, code):
    device = SoftPasskey()
    assertion = device.assertion(CHALLENGE, flags=flags, client=client)
    assert refused(lambda: checked(assertion, device, **changes)) == code


@pytest.mark.parametrize("member", ["client_data", "authenticator_data", "signature"])
def test_a_changed_byte_anywhere_voids_the_assertion(member):
    device = SoftPasskey()
    assertion = device.assertion(CHALLENGE)
    octets: bytes = getattr(assertion, member)
    for at in range(len(octets)):
        changed = octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]
        spoiled = replace(assertion, **{member: changed})
        refused(lambda spoiled=spoiled: checked(spoiled, device))


def test_client_data_that_says_a_thing_twice_is_refused():
    device = SoftPasskey()
    assertion = device.assertion(CHALLENGE)
    twice = assertion.client_data.replace(b"{", b'{"origin":"https://evil.example",', 1)
    assert refused(lambda: checked(replace(assertion, client_data=twice), device)) == "passkey.malformed"


@pytest.mark.parametrize(
    "key",
    [
        b"", b"\x04" + bytes(64), bytes(77), b"\xa0",
        encode_cbor({1: 2, 3: -7, -1: 2, -2: bytes(48), -3: bytes(48)}),
        encode_cbor({1: 3, 3: -257, -1: b"\xff" * 128, -2: b"\x01\x00\x01"}),
        encode_cbor({1: 3, 3: -65535, -1: b"\xff" * 256, -2: b"\x01\x00\x01"}),
        encode_cbor({1: 2, 3: -257, -1: 1, -2: bytes(32), -3: bytes(32)}),
    ],
)  # fmt: skip
def test_keys_of_other_kinds_are_not_taken(key):
    assert refused(lambda: check_algorithm(key)) in ("passkey.algorithm", "passkey.malformed")


@pytest.mark.parametrize(
    ("registration", "changes", "code"),
    [
        ({"client": {"origin": "https://evil.example"}}, {}, "passkey.origin"),
        ({"client": {"type": "webauthn.get"}}, {}, "passkey.type"),
        ({"client": {"crossOrigin": True}}, {}, "passkey.frame"),
        ({"flags": UP}, {}, "passkey.user"),
        ({}, {"challenge": bytes(32)}, "passkey.challenge"),
        ({}, {"rp_id": "answerable.example"}, "passkey.rp"),
        ({}, {"label": " "}, "passkey.label"),
        ({}, {"label": "x" * 61}, "passkey.label"),
        ({}, {"label": "a\u202eb"}, "passkey.label"),
    ],
)
def test_a_passkey_that_was_not_made_as_asked_is_not_taken(registration, changes, code):
    device = SoftPasskey()
    given = device.registration(CHALLENGE, **registration)
    assert refused(lambda: made(device, registration=given, **changes)) == code


def test_a_passkey_under_another_ones_id_is_not_taken():
    device = SoftPasskey()
    given = replace(device.registration(CHALLENGE), credential_id=SoftPasskey(seed="another").id)
    assert refused(lambda: made(device, registration=given)) == "passkey.other"


@pytest.mark.parametrize("attestation", [b"\xff", b"\xa0", b"{}", encode_cbor({"fmt": "none"})])
def test_an_attestation_that_is_none_is_refused(attestation):
    given = replace(SoftPasskey().registration(CHALLENGE), attestation=attestation)
    assert refused(lambda: made(SoftPasskey(), registration=given)).startswith("passkey.")


@pytest.mark.parametrize(
    "members",
    [
        None, [], {}, {"credential_id": "AA", "client_data": "AA", "authenticator_data": "AA"},
        {"credential_id": "A=", "client_data": "AA", "authenticator_data": "AA", "signature": "AA"},
        {"credential_id": "AB", "client_data": "AA", "authenticator_data": "AA", "signature": "AA"},
        {"credential_id": "", "client_data": "AA", "authenticator_data": "AA", "signature": "AA"},
        {"credential_id": 7, "client_data": "AA", "authenticator_data": "AA", "signature": "AA"},
        {"credential_id": "A" * 2000, "client_data": "AA", "authenticator_data": "AA", "signature": "AA"},
    ],
)  # fmt: skip
def test_an_assertion_has_one_form_as_json(members):
    assert refused(lambda: assertion_in(members)) == "passkey.malformed"


def test_a_registration_has_one_form_as_json_and_unknown_transports_are_left_out():
    told: Any = {
        "credential_id": "AA",
        "client_data": "AA",
        "attestation": "AA",
        "transports": ["usb", "quantum"],
    }
    assert registration_in(told).transports == ("usb",)
    assert refused(lambda: registration_in({**told, "transports": "usb"})) == "passkey.malformed"
    assert refused(lambda: registration_in({**told, "more": 1})) == "passkey.malformed"
