"""Invitations, and passkeys as they are written down and read back; keys of each kind that devices have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from webauthn.helpers import encode_cbor

from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.identity.people.invitation import LIFETIME_SECONDS_MAX, invitation, invitation_code
from answerable.core.identity.people.passkey import (
    PASSKEYS_OF_ONE_MAX,
    asserted,
    check_algorithm,
    check_ceremony,
    check_room,
)
from answerable.core.identity.people.passkey_form import passkey_in, passkey_members
from answerable.core.incident.timeline import Moment, told
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, Malformed
from answerable.testing.clock import START
from answerable.testing.contracts.passkey_register import sample_passkey
from answerable.testing.soft_passkey import ORIGIN, RP_ID, SoftPasskey

pytestmark = pytest.mark.requirement("PASSKEY-01")


def refused(call: Any) -> str:
    with pytest.raises(AnswerableError) as raised:
        call()
    return raised.value.code


def ed25519_key(**changes: Any) -> bytes:
    x = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
    return encode_cbor({1: 1, 3: -8, -1: 6, -2: x, **changes.get("over", {})})


def rsa_key(bits: int) -> bytes:
    numbers = rsa.generate_private_key(65537, bits).public_key().public_numbers()
    return encode_cbor({1: 3, 3: -257, -1: numbers.n.to_bytes(bits // 8), -2: b"\x01\x00\x01"})


def test_keys_of_each_kind_have_a_thumbprint_of_their_own():
    prints = {check_algorithm(key) for key in (ed25519_key(), rsa_key(2048), sample_passkey().public_key)}
    assert {len(one) for one in prints} == {43}
    assert len(prints) == 3


def test_short_keys_and_keys_of_another_curve_are_not_taken():
    assert refused(lambda: check_algorithm(rsa_key(1024))) == "passkey.algorithm"
    p384 = bytes.fromhex("00") + b"\x01" * 47
    for key in (encode_cbor({1: 2, 3: -7, -1: 2, -2: p384, -3: p384}), ed25519_key(over={-1: 7})):
        assert refused(lambda key=key: check_algorithm(key)) in ("passkey.algorithm", "passkey.malformed")


@pytest.mark.parametrize("said", [b"[]", b'"text"', b"{}", b"\xff"])
def test_a_ceremony_that_is_no_object_is_none(said):
    call = {"wanted": "webauthn.get", "challenge": bytes(32), "origins": [ORIGIN]}
    assert refused(lambda: check_ceremony(said, **call)) in ("passkey.malformed", "passkey.type")


def test_a_register_that_is_full_takes_nobody_more():
    person = PrincipalId("alice")
    check_room(person, held=PASSKEYS_OF_ONE_MAX - 1, all_held=9, all_max=10)
    for held, all_held in ((PASSKEYS_OF_ONE_MAX, 1), (0, 10)):
        code = refused(lambda h=held, a=all_held: check_room(person, held=h, all_held=a, all_max=10))
        assert code == "passkey.full"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("public_key", "AA"), ("public_key", None), ("transports", "usb"), ("person", 7), ("person", "No Name"),
        ("label", ""), ("label", None), ("rp_id", "UPPER"), ("rp_id", ""), ("aaguid", "x"), ("sign_count", -1),
        ("sign_count", 2**32), ("sign_count", True), ("backup_eligible", 1), ("attested", None), ("created_at", "now"),
        ("id", ""),
    ],
)  # fmt: skip
def test_what_a_register_cannot_have_written_is_not_read(name, value):
    members = passkey_members(sample_passkey())
    assert passkey_in(members) == sample_passkey()
    with pytest.raises(Malformed):
        passkey_in({**members, name: value})


def test_what_is_no_passkey_and_a_key_of_no_algorithm_of_ours_are_not_read():
    with pytest.raises(Malformed):
        passkey_in([])
    from answerable.core.base64url import to_base64url

    other = to_base64url(rsa_key(1024))
    with pytest.raises(Malformed):
        passkey_in({**passkey_members(sample_passkey()), "public_key": other})


def test_an_invitation_takes_enough_chance_and_lives_for_minutes():
    assert refused(lambda: invitation_code(bytes(15))) == "invitation.secret"
    code = invitation_code(bytes(16))
    for seconds in (0, LIFETIME_SECONDS_MAX + 1):
        made = {
            "person": PrincipalId("alice"),
            "by": "operator",
            "now": UnixMillis(START),
            "seconds": seconds,
        }
        assert refused(lambda made=made: invitation(code, **made)) == "invitation.lifetime"


def test_an_attested_passkey_is_told_as_such_with_and_without_its_fields():
    leaf: Any = {
        "v": 2, "tag": int(Tag.PASSKEY), "at": START, "change": "added", "person": "p", "by": "p", "key": "k" * 43,
        "passkey": "ab" * 32, "attested": True, "backup_eligible": False, "invitation": "",
    }  # fmt: skip
    line = told(Moment(index=1, tag=Tag.PASSKEY, leaf=leaf, payload=None))
    assert line.text == "p brought in a passkey by a session of their own."
    assert "a configured root vouches for the model of the device" in line.details
    leaf = {**leaf, "attested": False, "backup_eligible": True}
    fields: Any = {"person": "alice", "credential": {"label": "phone"}}
    line = told(Moment(index=1, tag=Tag.PASSKEY, leaf=leaf, payload=fields))
    assert line.details[0] == "called phone"
    assert "may be copied" in line.details[1]


def test_a_key_whose_algorithm_is_another_kinds_is_not_taken():
    x = sample_passkey().public_key
    for key in (ed25519_key(over={3: -7}), ed25519_key(over={3: -257}), x.replace(b"\x03\x26", b"\x03\x27")):
        assert refused(lambda key=key: check_algorithm(key)) in ("passkey.algorithm", "passkey.malformed")


@pytest.mark.parametrize("data", [b"\0" * 36, b"\0" * 4097])
def test_data_of_a_device_that_is_too_short_or_too_long_is_none(data):
    device = SoftPasskey()
    assertion = replace(device.assertion(bytes(32)), authenticator_data=data)
    call = {
        "credential_id": device.id, "public_key": device.public_key, "challenge": bytes(32), "rp_id": RP_ID,
        "origins": [ORIGIN],
    }  # fmt: skip
    assert refused(lambda: asserted(assertion, **call)) == "passkey.malformed"
