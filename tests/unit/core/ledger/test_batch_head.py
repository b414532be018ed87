"""Batch heads: signed once, when asked for, and by nobody else than the log."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.ledger.batch_head import (
    NOTE_BYTES_MAX,
    BatchHead,
    HeadFields,
    batch_head_key,
    verified_batch_head,
)
from answerable.core.tlog.note import Note, VerifierKey, signed_note
from answerable.errors import Broken, Malformed, Unverified

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = VerifierKey.ed25519("log.example/unit", PRIVATE.public_key().public_bytes_raw())
FIELDS = HeadFields("log.example/unit", 7, bytes(range(32)), 1_795_000_000_000)


def head() -> BatchHead:
    made = BatchHead(batch_head_key(KEY), PRIVATE.sign)
    made.fixed(origin=FIELDS.origin, size=FIELDS.size, chain=FIELDS.chain, at=FIELDS.at)
    return made


def signed(text: bytes, key: VerifierKey = KEY) -> bytes:
    return signed_note(text, key=batch_head_key(key), sign=PRIVATE.sign).encoded()


def test_a_batch_head_is_the_note_of_the_wire_page() -> None:
    assert head().signed().decode().split("\n")[:7] == [
        "answerable batch head v2",
        "log.example/unit",
        "7",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "1795000000000",
        "",
        head().signed().decode().split("\n")[6],
    ]
    assert head().signed().decode().split("\n")[6].startswith("— log.example/unit/batch-head ")


def test_it_is_signed_once_and_only_when_somebody_asks() -> None:
    asked: list[bytes] = []

    def sign(text: bytes) -> bytes:
        asked.append(text)
        return PRIVATE.sign(text)

    made = BatchHead(batch_head_key(KEY), sign)
    with pytest.raises(Broken):
        made.signed()
    with pytest.raises(Broken):
        _ = made.fields
    made.fixed(origin=FIELDS.origin, size=FIELDS.size, chain=FIELDS.chain, at=FIELDS.at)
    assert (made.fields, asked) == (FIELDS, [])
    assert made.signed() == made.signed() == head().signed()
    assert len(asked) == 1


@given(
    size=st.integers(0, 2**64 - 1), chain=st.binary(min_size=32, max_size=32), at=st.integers(0, 2**64 - 1)
)
def test_what_is_signed_verifies_and_says_the_same(size: int, chain: bytes, at: int) -> None:
    fields = HeadFields(KEY.name, size, chain, at)
    assert verified_batch_head(signed(fields.text()), key=KEY) == fields


@given(data=st.data())
def test_a_changed_byte_verifies_no_more(data: st.DataObject) -> None:
    note = bytearray(head().signed())
    at = data.draw(st.integers(0, len(note) - 1))
    note[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((Malformed, Unverified)):
        verified_batch_head(bytes(note), key=KEY)


def test_a_head_under_another_key_or_name_is_no_head_of_the_log() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    for key in (
        VerifierKey.ed25519(KEY.name, other.public_key().public_bytes_raw()),
        VerifierKey.ed25519("log.example/other", KEY.public),
    ):
        with pytest.raises(Unverified):
            verified_batch_head(head().signed(), key=key)
    # The log's key under its own name signs checkpoints: neither can be taken for the other.
    plain = signed_note(FIELDS.text(), key=KEY, sign=PRIVATE.sign).encoded()
    with pytest.raises(Unverified):
        verified_batch_head(plain, key=KEY)
    with pytest.raises(Unverified):
        Note.parse(head().signed()).verify((KEY,))
    elsewhere = FIELDS._replace(origin="log.example/other")
    with pytest.raises(Unverified) as refused:
        verified_batch_head(signed(elsewhere.text()), key=KEY)
    assert refused.value.step == "batch_head.origin"


@pytest.mark.parametrize(
    "text",
    [
        FIELDS.text().replace(b"v2", b"v3"),
        FIELDS.text().replace(b"\n7\n", b"\n07\n"),
        FIELDS.text().replace(b"\n7\n", b"\n-7\n"),
        FIELDS.text().replace(b"\n7\n", b"\n18446744073709551616\n"),
        FIELDS.text() + b"more\n",
        FIELDS.text().split(b"\n", 1)[0] + b"\n",
        FIELDS._replace(chain=bytes(31)).text(),
        FIELDS.text().replace(b"AAEC", b"AAE="),
    ],
)
def test_a_text_of_another_form_is_refused_even_if_signed(text: bytes) -> None:
    with pytest.raises(Malformed):
        verified_batch_head(signed(text), key=KEY)
    with pytest.raises(Malformed):
        HeadFields.parse(text)


def test_a_longer_note_than_any_head_is_refused_unread() -> None:
    note = head().signed()
    with pytest.raises(Malformed) as refused:
        verified_batch_head(note + note[-80:] * (NOTE_BYTES_MAX // 80), key=KEY)
    assert refused.value.code == "batch_head.size"


def test_the_key_of_batch_heads_is_the_logs_own_under_another_name() -> None:
    key = batch_head_key(KEY)
    assert (key.name, key.public) == ("log.example/unit/batch-head", KEY.public)
    assert key.key_id != KEY.key_id
