"""Subject keys: what they seal opens under them alone, whole or not at all; pseudonyms that nobody can guess."""

from __future__ import annotations

import hmac
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from answerable.core.ledger.subject_key import (
    ENVELOPE_HEAD_BYTES,
    TAG_BYTES,
    SubjectKey,
    joined_sections,
    key_id_of,
    sections_of,
)
from answerable.errors import AnswerableError, Malformed, Unverified

pytestmark = pytest.mark.requirement("SEAL-02")

SECRET, OTHER_SECRET = bytes(range(32)), bytes(range(32, 64))
KEY = SubjectKey(id=b"k" * 16, secret=SECRET)
OTHER = SubjectKey(id=b"o" * 16, secret=OTHER_SECRET)
DATA_KEY, NONCE = sha256(b"data key").digest(), b"n" * 12
PLAINTEXT = b'["salt","name","the customer of case 4711"]\n'
ATTACHMENT = KEY.sealed(PLAINTEXT, data_key=DATA_KEY, nonce=NONCE)


def test_an_attachment_has_the_bytes_that_the_format_says_and_nothing_in_the_clear():
    associated = b"answerable ledger v2\n" + b"k" * 16
    wrapped = AESGCM(SECRET).encrypt(NONCE, DATA_KEY, associated)
    assert len(wrapped) == 48
    fields = AESGCM(DATA_KEY).encrypt(bytes(12), PLAINTEXT, associated)
    assert b"".join((b"\x02", b"k" * 16, NONCE, wrapped, fields)) == ATTACHMENT
    for hidden in (SECRET, DATA_KEY, PLAINTEXT[:8], b"4711"):
        assert hidden not in ATTACHMENT
    assert KEY.opened(ATTACHMENT) == PLAINTEXT
    assert key_id_of(ATTACHMENT) == KEY.id


def test_an_attachment_with_any_byte_changed_does_not_open():
    for at in range(len(ATTACHMENT)):
        for bit in (0x01, 0x80):
            changed = bytearray(ATTACHMENT)
            changed[at] ^= bit
            with pytest.raises((Malformed, Unverified)) as told:
                KEY.opened(bytes(changed))
            assert told.value.code == "ledger.envelope"


def test_an_attachment_cut_or_lengthened_anywhere_does_not_open():
    for length in range(len(ATTACHMENT)):
        with pytest.raises((Malformed, Unverified)):
            KEY.opened(ATTACHMENT[:length])
    for more in (b"\x00", b"x" * 16, ATTACHMENT):
        with pytest.raises(Unverified):
            KEY.opened(ATTACHMENT + more)


def test_the_parts_of_two_attachments_of_one_subject_do_not_mix():
    second = KEY.sealed(PLAINTEXT, data_key=sha256(b"another").digest(), nonce=b"m" * 12)
    head = ENVELOPE_HEAD_BYTES
    for mixed in (ATTACHMENT[:head] + second[head:], ATTACHMENT[:29] + second[29:head] + ATTACHMENT[head:]):
        with pytest.raises(Unverified):
            KEY.opened(mixed)


def test_another_subjects_key_opens_nothing_not_even_under_the_same_id_or_the_same_secret():
    for wrong in (
        OTHER,
        SubjectKey(id=KEY.id, secret=OTHER_SECRET),
        SubjectKey(id=OTHER.id, secret=SECRET),
    ):
        with pytest.raises(Unverified):
            wrong.opened(ATTACHMENT)
    # Who writes another subject's id over it does not get it opened under that subject's key either.
    renamed = ATTACHMENT[:1] + OTHER.id + ATTACHMENT[17:]
    with pytest.raises(Unverified):
        OTHER.opened(renamed)
    same_secret = SubjectKey(id=OTHER.id, secret=SECRET)
    with pytest.raises(Unverified):
        same_secret.opened(renamed)


@pytest.mark.parametrize(
    "attachment",
    [b"", b"\x02", b"\x01" + ATTACHMENT[1:], b"\x03" + ATTACHMENT[1:], ATTACHMENT[: 77 + TAG_BYTES - 1], bytes(93)],
    ids=["empty", "one byte", "version 1", "version 3", "no room for a tag", "zeros"],
)  # fmt: skip
def test_what_is_no_attachment_of_ours_is_malformed(attachment: bytes):
    with pytest.raises(Malformed) as told:
        key_id_of(attachment)
    assert told.value.code == "ledger.envelope"
    with pytest.raises(Malformed):
        KEY.opened(attachment)


@pytest.mark.parametrize(("length", "secret"), [(15, 32), (17, 32), (16, 31), (16, 33), (0, 0)])
def test_a_key_of_another_size_is_not_made(length: int, secret: int):
    with pytest.raises(Malformed) as told:
        SubjectKey(id=bytes(length), secret=bytes(secret))
    assert told.value.code == "ledger.subject_key"


def test_a_key_shows_its_id_and_neither_secret_nor_error_messages_show_more():
    assert repr(KEY) == str(KEY) == f"SubjectKey({KEY.id.hex()})"
    told: list[str] = []
    for attachment in (b"", ATTACHMENT[:-1], OTHER.sealed(PLAINTEXT, data_key=DATA_KEY, nonce=NONCE)):
        with pytest.raises(AnswerableError) as raised:
            KEY.opened(attachment)
        told.append(repr(raised.value) + raised.value.message)
    for hidden in (SECRET.hex(), DATA_KEY.hex(), "4711"):
        assert hidden not in "".join([repr(KEY), *told])


@pytest.mark.requirement("SEAL-03")
def test_a_pseudonym_is_what_the_format_says_and_no_secret_of_the_sealing():
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"answerable ledger pseudonyms v2").derive(
        SECRET
    )
    assert KEY.pseudonym(b"principal", b"alice") == hmac.digest(derived, b"principal\nalice", "sha256").hex()
    assert derived != SECRET


@pytest.mark.requirement("SEAL-03")
def test_a_pseudonym_is_the_same_every_time_and_another_for_another_name_label_or_subject():
    names = {
        key.pseudonym(label, value)
        for key in (KEY, OTHER)
        for label in (b"principal", b"action")
        for value in (b"alice", b"bob", b"")
    }
    assert len(names) == 2 * 2 * 3
    assert SubjectKey(id=b"x" * 16, secret=SECRET).pseudonym(b"action", b"a") == KEY.pseudonym(
        b"action", b"a"
    )
    assert all(name not in (sha256(v).hexdigest()) for name in names for v in (b"alice", b"bob", b""))


@pytest.mark.parametrize("cut", [1, 3, 5, 40, -1])
def test_sections_that_do_not_end_where_they_should_are_no_attachment(cut: int):
    parts = [KEY.sealed(text, data_key=bytes(32), nonce=bytes(12)) for text in (b"one", b"two")]
    whole = joined_sections(parts)
    assert sections_of(whole) == tuple(parts)
    assert sections_of(parts[0]) == (parts[0],)
    with pytest.raises(Malformed) as found:
        sections_of(whole[:cut])
    assert found.value.code == "ledger.envelope"
