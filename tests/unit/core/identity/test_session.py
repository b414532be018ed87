"""Keys of sessions and windows of sequence numbers."""

from __future__ import annotations

import hmac

import pytest

from answerable.core.identity.proof.session import (
    WINDOW,
    SequenceWindow,
    SessionAnswer,
    SessionKey,
    derive_key,
    encode_answer,
    encode_offer,
    ephemeral_public,
    parse_answer,
    parse_offer,
)
from answerable.errors import Malformed
from answerable.testing.entropy import SeededEntropy

NAME = "0123456789abcdefghjkmnpqrs"


def test_both_sides_derive_one_key_and_another_for_every_changed_byte() -> None:
    chance = SeededEntropy()
    client, server = chance.bytes(32), chance.bytes(32)
    transcript = {"signature_base": b"base", "answer": b"answer"}
    key = derive_key(private=client, public=ephemeral_public(server), **transcript)
    assert key == derive_key(private=server, public=ephemeral_public(client), **transcript)
    assert len(key) == 32
    for changed in ({"signature_base": b"bass"}, {"answer": b"answar"}, {"signature_base": b"base\0"}):
        other = derive_key(private=client, public=ephemeral_public(server), **{**transcript, **changed})
        assert other != key


def test_the_shared_secret_is_that_of_rfc_7748() -> None:
    # Section 6.1: Alice's private key and Bob's public key; the secret shows only through HKDF (RFC 5869).
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df6a2fd6c9c6d2fe1b1bfc5f1fe0ee2a")
    assert len(alice) == 32
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    one = derive_key(private=alice, public=ephemeral_public(bob), signature_base=b"", answer=b"")
    assert one == derive_key(private=bob, public=ephemeral_public(alice), signature_base=b"", answer=b"")
    assert ephemeral_public(bob).hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"


@pytest.mark.parametrize("size", [0, 1, 31, 32, 64])
def test_the_mac_is_hmac_sha256(size: int) -> None:
    key = SeededEntropy(size).bytes(size)
    for message in (b"", b"x", b"x" * 64, b"x" * 1000):
        mac = SessionKey(key).mac(message)
        assert mac == hmac.digest(key, message, "sha256")
        assert SessionKey(key).accepts(message, mac)
        assert not SessionKey(key).accepts(message + b"x", mac)
        assert not SessionKey(key).accepts(message, mac[:-1])
    assert "SessionKey" in repr(SessionKey(key))


def test_offer_and_answer_read_back() -> None:
    public = ephemeral_public(bytes(32))
    assert parse_offer(encode_offer(public)) == public
    answer = SessionAnswer(session=NAME, x25519=public, lifetime_seconds=3600)
    assert parse_answer(encode_answer(answer)) == answer


@pytest.mark.parametrize(
    "change",
    [
        (b'"version":1', b'"version":2'),
        (b"3600", b"3601"),
        (b"3600", b"0"),
        (b"3600", b"-1"),
        (b"3600", b'"3600"'),
        (b"3600", b"true"),
        (NAME.encode(), b"short"),
        (NAME.encode(), NAME.upper().encode()),
        (b'"version":1', b'"version":1,"more":1'),
        (b'"x25519":"', b'"x25519":"A'),
    ],
)
def test_an_answer_out_of_form_is_refused(change: tuple[bytes, bytes]) -> None:
    body = encode_answer(
        SessionAnswer(session=NAME, x25519=ephemeral_public(bytes(32)), lifetime_seconds=3600)
    )
    assert change[0] in body
    with pytest.raises(Malformed):
        parse_answer(body.replace(*change))


def test_the_window_slides_and_accepts_each_number_once() -> None:
    window = SequenceWindow()
    assert not window.accept(0)
    assert window.accept(1)
    assert not window.accept(1)
    assert window.accept(WINDOW)
    assert window.accept(2)
    assert not window.accept(2)
    assert window.accept(WINDOW + 3)
    assert not window.accept(3)
    assert window.accept(4)
    assert window.accept(10**15)
    assert not window.accept(WINDOW + 4)
    assert window.accept(10**15 - WINDOW + 1)
    assert not window.accept(10**15 - WINDOW)
