"""Attacks on signed notes: keys, spelling, signatures."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import partial

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from answerable.core.tlog.note import (
    ED25519,
    ED25519_COSIGNATURE,
    NOTE_BYTES_MAX,
    SIGNATURES_MAX,
    Note,
    NoteSignature,
    VerifierKey,
    key_id,
    signed_note,
)
from answerable.errors import Malformed, Unverified

TEXT = "ledger.example/one\nThis is è text.\n\nwith a blank line\n".encode()


class Signer:
    """A key pair for tests; the seed is its identity."""

    def __init__(self, name: str, seed: int) -> None:
        private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.sign: Callable[[bytes], bytes] = private.sign
        self.key = VerifierKey.ed25519(name, private.public_key().public_bytes_raw())

    def line(self, text: bytes = TEXT) -> NoteSignature:
        return NoteSignature(name=self.key.name, key_id=self.key.key_id, signature=self.sign(text))


ONE, TWO, STRANGER = Signer("log.example/one", 1), Signer("log.example/two", 2), Signer("log.example/one", 3)
NOTE = signed_note(TEXT, key=ONE.key, sign=ONE.sign)


def malformed_code(attempt: Callable[[], object]) -> str:
    with pytest.raises(Malformed) as caught:
        attempt()
    return caught.value.code


def failed_step(attempt: Callable[[], object]) -> str:
    with pytest.raises(Unverified) as caught:
        attempt()
    return caught.value.step


def forged(signer: Signer) -> NoteSignature:
    return NoteSignature(name=signer.key.name, key_id=signer.key.key_id, signature=bytes(64))


# ---- verifying


def test_a_note_signed_by_a_known_key_is_accepted_and_names_the_signer() -> None:
    assert Note.parse(NOTE.encoded()).verify([TWO.key, ONE.key]) == (ONE.key,)


def test_signatures_by_unknown_keys_are_ignored() -> None:
    note = Note(text=TEXT, signatures=(forged(TWO), forged(STRANGER), ONE.line()))
    assert note.verify([ONE.key]) == (ONE.key,)


def test_one_bad_signature_by_a_known_key_rejects_the_note_whatever_else_is_good() -> None:
    for signatures in ((ONE.line(), forged(TWO)), (forged(TWO), ONE.line()), (ONE.line(), forged(ONE))):
        note = Note(text=TEXT, signatures=signatures)
        assert failed_step(partial(note.verify, [ONE.key, TWO.key])) == "note.signature"


def test_a_note_that_no_known_key_signed_is_rejected() -> None:
    assert failed_step(lambda: NOTE.verify([TWO.key])) == "note.signer"
    assert failed_step(lambda: NOTE.verify([])) == "note.signer"


def test_name_and_key_id_must_both_match() -> None:
    same_name = Note(text=TEXT, signatures=(STRANGER.line(),))
    assert failed_step(lambda: same_name.verify([ONE.key])) == "note.signer"
    renamed = NoteSignature(name="other.example", key_id=ONE.key.key_id, signature=ONE.sign(TEXT))
    assert failed_step(lambda: Note(text=TEXT, signatures=(renamed,)).verify([ONE.key])) == "note.signer"


def test_a_signature_does_not_move_to_another_text() -> None:
    moved = Note(text=TEXT + b"x\n", signatures=NOTE.signatures)
    assert failed_step(lambda: moved.verify([ONE.key])) == "note.signature"


@pytest.mark.parametrize("length", [1, 63, 65, 72])
def test_a_signature_of_another_length_is_a_bad_signature(length: int) -> None:
    line = NoteSignature(name=ONE.key.name, key_id=ONE.key.key_id, signature=bytes(length))
    assert failed_step(lambda: Note(text=TEXT, signatures=(line,)).verify([ONE.key])) == "note.signature"


def test_a_key_that_signed_twice_counts_once() -> None:
    note = Note(text=TEXT, signatures=(ONE.line(), TWO.line(), ONE.line()))
    assert note.verify([ONE.key, TWO.key, ONE.key]) == (ONE.key, TWO.key)


def test_cosigner_keys_are_read_but_their_signatures_count_as_unknown() -> None:
    public = ONE.key.public
    cosigner = VerifierKey(
        name="witness.example",
        kind=ED25519_COSIGNATURE,
        public=public,
        key_id=key_id("witness.example", ED25519_COSIGNATURE, public),
    )
    assert VerifierKey.parse(cosigner.formatted()) == cosigner
    line = NoteSignature(name=cosigner.name, key_id=cosigner.key_id, signature=bytes(72))
    note = Note(text=TEXT, signatures=(line, ONE.line()))
    assert note.verify([cosigner, ONE.key]) == (ONE.key,)
    assert failed_step(lambda: note.verify([cosigner])) == "note.signer"
    assert failed_step(lambda: cosigner.verify(TEXT, ONE.sign(TEXT))) == "note.signature"


def test_two_keys_that_share_name_and_id_are_refused_rather_than_guessed_between() -> None:
    twins = [VerifierKey(name="a", key_id=b"\x00" * 4, kind=0xFF, public=public) for public in (b"1", b"2")]
    assert failed_step(lambda: NOTE.verify(twins)) == "note.signer"
    twin = VerifierKey.ed25519(ONE.key.name, ONE.key.public)
    object.__setattr__(twin, "public", TWO.key.public)
    assert malformed_code(lambda: NOTE.verify([ONE.key, twin])) == "note.key_ambiguous"


# ---- reading and writing


def test_what_is_read_is_written_back_byte_for_byte() -> None:
    note = Note(text=TEXT, signatures=(ONE.line(), TWO.line(), forged(STRANGER)))
    assert Note.parse(note.encoded()) == note
    assert Note.parse(note.encoded()).encoded() == note.encoded()


def test_a_text_that_looks_like_a_signature_stays_text() -> None:
    text = NOTE.encoded()
    note = signed_note(text, key=TWO.key, sign=TWO.sign)
    assert Note.parse(note.encoded()).text == text
    assert failed_step(lambda: Note.parse(note.encoded()).verify([ONE.key])) == "note.signer"


def test_sixteen_signatures_and_more_are_accepted_up_to_a_limit() -> None:
    at_limit = Note(text=TEXT, signatures=(forged(TWO),) * (SIGNATURES_MAX - 1) + (ONE.line(),))
    assert Note.parse(at_limit.encoded()).verify([ONE.key]) == (ONE.key,)
    line = at_limit.encoded().splitlines(keepends=True)[-1]
    assert malformed_code(lambda: Note.parse(at_limit.encoded() + line)) == "note.signature_count"
    assert malformed_code(lambda: Note.parse(at_limit.encoded() + line * 40)) == "note.signature_count"
    assert malformed_code(lambda: Note(text=TEXT, signatures=())) == "note.signature_count"


LINE = NOTE.encoded().split(b"\n\n")[-1]


def test_a_note_of_the_largest_size_is_read_and_one_byte_more_is_not() -> None:
    largest = b"x" * (NOTE_BYTES_MAX - len(LINE) - 2) + b"\n\n" + LINE
    assert Note.parse(largest).encoded() == largest
    assert malformed_code(lambda: Note.parse(b"x" + largest)) == "note.size"


SIGNATURE = LINE.decode().split(" ")[2].strip()


@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        (b"", "note.newline"),
        (b"text", "note.newline"),
        (b"text\n", "note.signature_count"),
        (b"text\n" + LINE, "note.signature_count"),
        (b"text\n\n", "note.signature_line"),
        (b"\n\n", "note.signature_line"),
        (b"text\n\n" + LINE[:-1], "note.newline"),
        (b"text\n\n" + LINE + b"\n", "note.signature_line"),
        (b"text\n\n" + LINE + b"more\n", "note.signature_line"),
        (b"text\r\n\n" + LINE, "note.control"),
        (b"te\x00xt\n\n" + LINE, "note.control"),
        (b"te\txt\n\n" + LINE, "note.control"),
        (b"te\xffxt\n\n" + LINE, "note.utf8"),
        (b"te\xed\xa0\x80xt\n\n" + LINE, "note.utf8"),
        (b"text\n\n" + LINE.replace("—".encode(), b"-"), "note.signature_line"),
        (b"text\n\n" + LINE.replace(b" log", b"  log"), "note.signature_line"),
        (b"text\n\n" + LINE.replace("— ".encode(), "—".encode()), "note.signature_line"),
        (f"text\n\n— a+b {SIGNATURE}\n".encode(), "note.key_name"),
        (f"text\n\n— a\u00a0b {SIGNATURE}\n".encode(), "note.key_name"),
        (f"text\n\n— a\u2028b {SIGNATURE}\n".encode(), "note.key_name"),
        (f"text\n\n—  {SIGNATURE}\n".encode(), "note.key_name"),
        (f"text\n\n— a {SIGNATURE} b\n".encode(), "note.signature_line"),
        ("text\n\n— a AAAA\n".encode(), "note.signature_line"),
        ("text\n\n— a AAAAAA==\n".encode(), "note.signature_line"),
        ("text\n\n— a \n".encode(), "tlog.base64"),
        (f"text\n\n— a {SIGNATURE[:-1]}\n".encode(), "tlog.base64"),
        ("text\n\n— a AAAAAAB=\n".encode(), "tlog.base64"),
        ("text\n\n— a AAAA-_AA\n".encode(), "tlog.base64"),
        (b"x" * NOTE_BYTES_MAX + b"\n\n" + LINE, "note.size"),
    ],
)
def test_what_is_not_a_note_in_its_one_spelling_is_refused(encoded: bytes, code: str) -> None:
    assert malformed_code(lambda: Note.parse(encoded)) == code


# ---- signing


def test_signing_asks_a_callable_and_hands_it_exactly_the_text() -> None:
    asked: list[bytes] = []

    def sign(text: bytes) -> bytes:
        asked.append(text)
        return ONE.sign(text)

    assert signed_note(TEXT, key=ONE.key, sign=sign).verify([ONE.key]) == (ONE.key,)
    assert asked == [TEXT]


def test_nothing_is_signed_that_could_not_be_read_back() -> None:
    def never(text: bytes) -> bytes:
        raise AssertionError(text)

    for text, code in (
        (b"no newline", "note.newline"),
        (b"a\x07\n", "note.control"),
        (b"\xff\n", "note.utf8"),
    ):
        assert malformed_code(partial(signed_note, text, key=ONE.key, sign=never)) == code
    other = VerifierKey(name="a", key_id=b"\x00" * 4, kind=0xFF, public=b"1")
    assert malformed_code(lambda: signed_note(TEXT, key=other, sign=never)) == "note.key_type"
    assert (
        malformed_code(lambda: signed_note(TEXT, key=ONE.key, sign=lambda _: b"x")) == "note.signature_length"
    )


# ---- keys


def test_a_verifier_key_is_written_as_it_is_read() -> None:
    text = ONE.key.formatted()
    assert text.startswith("log.example/one+")
    assert VerifierKey.parse(text) == ONE.key
    longer = VerifierKey(name="a", key_id=b"\xab" * 4, kind=0xFF, public=b"anything")
    assert VerifierKey.parse(longer.formatted()) == longer


def vkey(name: str, hexed: str, material: bytes) -> str:
    return f"{name}+{hexed}+{b64encode(material).decode()}"


ID = ONE.key.key_id.hex()
MATERIAL = bytes([ED25519]) + ONE.key.public


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "note.key"),
        ("name", "note.key"),
        ("name+00000000", "note.key"),
        (vkey(ONE.key.name, ID.upper() + "0", MATERIAL), "note.key"),
        (vkey(ONE.key.name, ID[:7], MATERIAL), "note.key"),
        (vkey(ONE.key.name, "00000000", MATERIAL), "note.key_id"),
        (vkey("log.example/two", ID, MATERIAL), "note.key_id"),
        (vkey("", ID, MATERIAL), "note.key_name"),
        (vkey("a b", ID, MATERIAL), "note.key_name"),
        (vkey("a\nb", ID, MATERIAL), "note.key_name"),
        (vkey("a\ud800", ID, MATERIAL), "note.key_name"),
        (vkey(ONE.key.name, ID, MATERIAL[:1]), "note.key"),
        (vkey(ONE.key.name, ID, MATERIAL[:-1]), "note.key_unsound"),
        (vkey(ONE.key.name, ID, MATERIAL + b"\x00"), "note.key_unsound"),
        (ONE.key.formatted() + "\n", "tlog.base64"),
        (f"{ONE.key.name}+{ID}+", "tlog.base64"),
    ],
)
def test_what_is_not_a_verifier_key_is_refused(text: str, code: str) -> None:
    assert malformed_code(lambda: VerifierKey.parse(text)) == code


def test_key_names_that_cannot_be_written_are_refused_before_anything_is_derived() -> None:
    assert malformed_code(lambda: VerifierKey.ed25519("a\ud800", ONE.key.public)) == "note.key_name"
    assert malformed_code(lambda: VerifierKey(name="a", key_id=b"", kind=1, public=b"x")) == "note.key_id"
    assert malformed_code(lambda: VerifierKey(name="a", key_id=b"1234", kind=256, public=b"x")) == "note.key"


@pytest.mark.parametrize(
    "hexed",
    [
        "00" * 32,
        "01" + "00" * 31,
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
        "ff" * 32,
        "00" * 31 + "80",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    ],
)
def test_keys_under_which_a_signature_says_nothing_are_refused(hexed: str) -> None:
    assert malformed_code(lambda: VerifierKey.ed25519("a", bytes.fromhex(hexed))) == "note.key_unsound"
