"""Attacks on cosignatures: another tree, another time, another cosigner, and what a witness never said."""

from __future__ import annotations

from functools import partial

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from answerable.core.tlog import note as note_module
from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.core.tlog.cosignature import (
    Cosignature,
    cosignature,
    ed25519_cosigned_text,
    ml_dsa_44_signed_text,
    verified_cosignatures,
)
from answerable.core.tlog.cosigned import NAME_BYTES_MAX, TIMESTAMP_MAX, tree_head_of
from answerable.core.tlog.merkle import EMPTY_ROOT, SIZE_MAX, leaf_hash
from answerable.core.tlog.note import (
    ED25519,
    ED25519_COSIGNATURE,
    ML_DSA_44_COSIGNATURE,
    Note,
    NoteSignature,
    VerifierKey,
    key_id,
)
from tests.worlds.tlog import (
    CHECKPOINT,
    NOW,
    ORIGIN,
    Signer,
    ed25519_log,
    ed25519_witness,
    failed_step,
    flipped,
    malformed_code,
    ml_dsa_44,
    relined,
    signed_by,
)

LOG = ed25519_log()
ONE, TWO = ed25519_witness("witness.example/one"), ed25519_witness("witness.example/two")
LATTICE = ml_dsa_44("witness.example/lattice")
COSIGNERS = [ONE, TWO, LATTICE]
TEXT = CHECKPOINT.text()


# ---- the bytes that are signed


def test_an_ed25519_cosigner_signs_two_lines_and_the_whole_text() -> None:
    # The example of C2SP tlog-cosignature.
    text = b"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    assert ed25519_cosigned_text(1679315147, text) == (
        b"cosignature/v1\ntime 1679315147\n"
        b"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )


def test_an_ml_dsa_44_cosigner_signs_the_structure_of_the_specification() -> None:
    signed = ml_dsa_44_signed_text(
        cosigner="w.example/è", timestamp=1679315147, origin="o", start=0, end=20852163, root=b"\xab" * 32
    )
    assert signed == (
        b"subtree/v1\n\x00"
        b"\x0cw.example/\xc3\xa8"
        b"\x00\x00\x00\x00\x64\x18\x50\xcb"
        b"\x01o"
        b"\x00\x00\x00\x00\x00\x00\x00\x00"
        b"\x00\x00\x00\x00\x01\x3e\x2d\xc3" + b"\xab" * 32
    )


@pytest.mark.parametrize(
    ("start", "end", "timestamp"),
    [(0, 0, NOW), (0, 1, 0), (0, SIZE_MAX, TIMESTAMP_MAX), (1, 2, 0), (8, 13, 0), (8, 16, 0), (4, 6, 0)],
)
def test_whole_trees_and_subtrees_can_be_signed(start: int, end: int, timestamp: int) -> None:
    signed = ml_dsa_44_signed_text(
        cosigner="w", timestamp=timestamp, origin="o", start=start, end=end, root=EMPTY_ROOT
    )
    assert signed[-48:-32] == start.to_bytes(8, "big") + end.to_bytes(8, "big")
    assert len(signed) == 12 + 2 + 8 + 2 + 8 + 8 + 32


@pytest.mark.parametrize(
    ("start", "end", "timestamp"),
    [
        (8, 13, 1), (1, 1, 0), (2, 1, 0), (1, 3, 0), (2, 5, 0), (12, 17, 0), (8, 17, 0), (-1, 0, 0), (-2, -1, 0),
        (0, SIZE_MAX + 1, 0), (0, -1, 0),
    ],
)  # fmt: skip
def test_what_is_no_subtree_or_has_a_time_that_it_cannot_have_is_not_signed(
    start: int, end: int, timestamp: int
) -> None:
    assert (
        malformed_code(
            lambda: ml_dsa_44_signed_text(
                cosigner="w", timestamp=timestamp, origin="o", start=start, end=end, root=EMPTY_ROOT
            )
        )
        == "cosignature.subtree"
    )


def test_fields_that_do_not_fit_the_structure_are_refused() -> None:
    def attempt(
        cosigner: str = "w", origin: str = "o", timestamp: int = 0, root: bytes = EMPTY_ROOT
    ) -> bytes:
        return ml_dsa_44_signed_text(
            cosigner=cosigner, timestamp=timestamp, origin=origin, start=0, end=1, root=root
        )

    # The bounds of the specification.
    assert (TIMESTAMP_MAX, NAME_BYTES_MAX) == (2**63 - 1, 255)
    longest = "è" * (NAME_BYTES_MAX // 2) + "x"
    assert len(attempt(cosigner=longest, origin=longest)) == 12 + 256 + 8 + 256 + 8 + 8 + 32
    for name in ("", longest + "x", "x" * 256):
        assert malformed_code(partial(attempt, cosigner=name)) == "cosignature.name_length"
        assert malformed_code(partial(attempt, origin=name)) == "cosignature.name_length"
    assert malformed_code(lambda: attempt(root=b"short")) == "checkpoint.root"
    for timestamp in (-1, TIMESTAMP_MAX + 1):
        assert malformed_code(partial(attempt, timestamp=timestamp)) == "cosignature.timestamp"
        assert malformed_code(partial(ed25519_cosigned_text, timestamp, TEXT)) == "cosignature.timestamp"


def test_the_head_of_a_tree_is_read_from_a_text_as_a_checkpoint_is() -> None:
    assert tree_head_of(TEXT) == (CHECKPOINT.origin, CHECKPOINT.size, CHECKPOINT.root)
    assert tree_head_of(TEXT + b"more\nlines\n") == tree_head_of(TEXT)
    for text, code in (
        (b"o\n1\n", "checkpoint.line"),
        (b"o\n01\nAAAA\n", "tlog.decimal"),
        (b"o\n1\nAAA\n", "tlog.base64"),
        (b"o\n1\nAAAA", "note.newline"),
    ):
        assert malformed_code(partial(tree_head_of, text)) == code


# ---- keys


def test_the_types_of_signatures_are_those_of_the_specification() -> None:
    assert (ED25519, ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE) == (0x01, 0x04, 0x06)


def test_the_ids_of_cosigners_keys_are_those_of_the_specification() -> None:
    for signer, kind, length in ((ONE, ED25519_COSIGNATURE, 32), (LATTICE, ML_DSA_44_COSIGNATURE, 1312)):
        key = signer.key
        assert (key.kind, len(key.public)) == (kind, length)
        assert key.key_id == key_id(key.name, kind, key.public)
        assert VerifierKey.parse(key.formatted()) == key
    assert ONE.key.key_id != VerifierKey.ed25519(ONE.key.name, ONE.key.public).key_id


@pytest.mark.parametrize("length", [1, 32, 1311, 1313])
def test_an_ml_dsa_44_key_of_another_length_is_refused(length: int) -> None:
    assert malformed_code(lambda: VerifierKey.ml_dsa_44("w", bytes(length))) == "note.key_unsound"


def test_a_cosigners_ed25519_key_is_as_sound_as_a_logs() -> None:
    assert malformed_code(lambda: VerifierKey.ed25519_cosignature("w", bytes(32))) == "note.key_unsound"
    assert malformed_code(lambda: VerifierKey.ed25519_cosignature("a b", ONE.key.public)) == "note.key_name"


# ---- cosigning and verifying


@pytest.mark.parametrize("signer", COSIGNERS)
def test_a_cosignature_verifies_and_says_who_and_when(signer: Signer) -> None:
    note = Note.parse(signed_by(LOG, signer).encoded())
    expected = (Cosignature(cosigner=signer.key, timestamp=NOW),)
    assert verified_cosignatures(note, cosigners=[one.key for one in COSIGNERS]) == expected
    assert verified_checkpoint(note.encoded(), origin=ORIGIN, log_keys=[LOG.key]) == CHECKPOINT
    line = note.signatures[1].signature
    assert line[:8] == NOW.to_bytes(8, "big")
    assert len(line) == 8 + (64 if signer is ONE or signer is TWO else 2420)


@pytest.mark.parametrize("signer", COSIGNERS)
@pytest.mark.parametrize("timestamp", [0, 1, TIMESTAMP_MAX])
def test_any_time_of_the_range_can_be_said(signer: Signer, timestamp: int) -> None:
    note = signed_by(signer, timestamp=timestamp)
    assert verified_cosignatures(note, cosigners=[signer.key]) == (
        Cosignature(cosigner=signer.key, timestamp=timestamp),
    )


def test_cosignatures_of_unknown_witnesses_are_ignored() -> None:
    note = signed_by(LOG, ONE, TWO, LATTICE)
    assert [one.cosigner for one in verified_cosignatures(note, cosigners=[TWO.key])] == [TWO.key]
    assert verified_cosignatures(note, cosigners=[]) == ()
    assert verified_cosignatures(note, cosigners=[ed25519_witness("other").key, LOG.key]) == ()


@pytest.mark.parametrize("signer", COSIGNERS)
def test_one_bad_cosignature_by_a_known_witness_rejects_the_checkpoint(signer: Signer) -> None:
    note = signed_by(LOG, ONE, TWO, LATTICE)
    line = 1 + COSIGNERS.index(signer)
    good = note.signatures[line].signature
    # A bit of the time, of the signature at either end, and other lengths.
    for bad in (
        flipped(good, 63),
        flipped(good, 0),
        flipped(good, 64),
        flipped(good, len(good) * 8 - 1),
        good[:-1],
        good + b"\x00",
        good[8:],
        good[:8],
        good[:3],
        bytes(len(good)),
    ):
        changed = relined(note, line, bad)
        attempt = partial(verified_cosignatures, changed, cosigners=[one.key for one in COSIGNERS])
        assert failed_step(attempt) == "note.signature"
        # Whoever does not know this witness is not concerned.
        others = [one.key for one in COSIGNERS if one is not signer]
        assert len(verified_cosignatures(changed, cosigners=others)) == 2


@pytest.mark.parametrize("signer", COSIGNERS)
def test_a_cosignature_does_not_move_to_another_checkpoint(signer: Signer) -> None:
    lines = signed_by(signer).signatures
    for other in (
        Checkpoint(origin=ORIGIN + "x", size=CHECKPOINT.size, root=CHECKPOINT.root),
        Checkpoint(origin=ORIGIN, size=CHECKPOINT.size + 1, root=CHECKPOINT.root),
        Checkpoint(origin=ORIGIN, size=CHECKPOINT.size, root=leaf_hash(b"other")),
    ):
        moved = Note(text=other.text(), signatures=lines)
        assert failed_step(partial(verified_cosignatures, moved, cosigners=[signer.key])) == "note.signature"


def test_extension_lines_are_under_an_ed25519_cosignature_and_not_under_ml_dsa_44() -> None:
    extended = Checkpoint(
        origin=ORIGIN, size=CHECKPOINT.size, root=CHECKPOINT.root, extensions=("put in by somebody",)
    ).text()
    of_one, of_lattice = (Note(text=extended, signatures=signed_by(one).signatures) for one in (ONE, LATTICE))
    assert failed_step(lambda: verified_cosignatures(of_one, cosigners=[ONE.key])) == "note.signature"
    assert len(verified_cosignatures(of_lattice, cosigners=[LATTICE.key])) == 1


def test_an_ml_dsa_44_cosignature_is_by_the_name_it_was_made_under() -> None:
    renamed = VerifierKey.ml_dsa_44("witness.example/other", LATTICE.key.public)
    line = signed_by(LATTICE).signatures[0]
    moved = NoteSignature(name=renamed.name, key_id=renamed.key_id, signature=line.signature)
    note = Note(text=TEXT, signatures=(moved,))
    assert failed_step(lambda: verified_cosignatures(note, cosigners=[renamed])) == "note.signature"


def test_a_witness_that_signed_twice_counts_once_with_its_newest_time() -> None:
    note = Note(
        text=TEXT,
        signatures=(ONE.line(TEXT, NOW), TWO.line(TEXT, NOW), ONE.line(TEXT, NOW + 5), ONE.line(TEXT, 3)),
    )
    assert verified_cosignatures(note, cosigners=[ONE.key, TWO.key, ONE.key]) == (
        Cosignature(cosigner=ONE.key, timestamp=NOW + 5),
        Cosignature(cosigner=TWO.key, timestamp=NOW),
    )
    worse = relined(note, 3, bytes(72))
    assert failed_step(lambda: verified_cosignatures(worse, cosigners=[ONE.key])) == "note.signature"


def test_two_cosigners_that_share_name_and_id_are_refused_rather_than_guessed_between() -> None:
    twin = VerifierKey.ed25519_cosignature(ONE.key.name, ONE.key.public)
    object.__setattr__(twin, "public", TWO.key.public)
    note = signed_by(ONE)
    assert (
        malformed_code(lambda: verified_cosignatures(note, cosigners=[ONE.key, twin])) == "note.key_ambiguous"
    )


def test_a_note_that_is_no_checkpoint_has_no_cosignatures() -> None:
    text = b"some other text\n"
    line = NoteSignature(
        name=ONE.key.name,
        key_id=ONE.key.key_id,
        signature=NOW.to_bytes(8, "big") + ONE.sign(ed25519_cosigned_text(NOW, text)),
    )
    note = Note(text=text, signatures=(line,))
    assert malformed_code(lambda: verified_cosignatures(note, cosigners=[ONE.key])) == "checkpoint.line"


# ---- whose word counts for what


def test_a_cosignature_by_a_witness_is_no_signature_of_the_log() -> None:
    for signer in (ONE, LATTICE):
        note = signed_by(signer).encoded()
        attempt = partial(verified_checkpoint, note, origin=ORIGIN, log_keys=[LOG.key])
        assert failed_step(attempt) == "note.signer"
    # Even where the key of an Ed25519 witness is by mistake among those of the log.
    attempt = partial(verified_checkpoint, signed_by(ONE).encoded(), origin=ORIGIN, log_keys=[ONE.key])
    assert failed_step(attempt) == "note.signer"


def test_an_ed25519_signature_and_a_cosignature_by_one_key_do_not_stand_for_each_other() -> None:
    as_log = VerifierKey.ed25519(ONE.key.name, ONE.key.public)
    cosigned = signed_by(ONE).signatures[0].signature
    plain = ONE.sign(TEXT)
    for key, signature in (
        (as_log, cosigned),
        (as_log, cosigned[8:]),
        (ONE.key, plain),
        (ONE.key, bytes(8) + plain),
    ):
        assert failed_step(partial(key.verify, TEXT, signature)) == "note.signature"


def test_a_log_may_sign_with_ml_dsa_44_alone_or_beside_ed25519() -> None:
    own = ml_dsa_44(ORIGIN)
    for note in (signed_by(own), signed_by(own, timestamp=0), signed_by(LOG, own), signed_by(own, LATTICE)):
        assert verified_checkpoint(note.encoded(), origin=ORIGIN, log_keys=[own.key]) == CHECKPOINT
    both = signed_by(LOG, own)
    assert both.verify([own.key, LOG.key]) == (LOG.key, own.key)
    assert both.verify([LOG.key]) == (LOG.key,)
    forged = relined(both, 1, bytes(2428))
    assert failed_step(lambda: forged.verify([LOG.key, own.key])) == "note.signature"
    assert failed_step(lambda: signed_by(LATTICE).verify([own.key])) == "note.signer"


def test_extension_lines_count_only_under_the_logs_ed25519_signature() -> None:
    own = ml_dsa_44(ORIGIN)
    text = Checkpoint(
        origin=ORIGIN, size=CHECKPOINT.size, root=CHECKPOINT.root, extensions=("put in by somebody",)
    ).text()
    alone = Note(text=text, signatures=signed_by(own).signatures).encoded()
    attempt = partial(verified_checkpoint, alone, origin=ORIGIN, log_keys=[own.key, LOG.key])
    assert failed_step(attempt) == "checkpoint.extensions"
    both = signed_by(own, LOG, text=text).encoded()
    checked = verified_checkpoint(both, origin=ORIGIN, log_keys=[own.key, LOG.key])
    assert checked.extensions == ("put in by somebody",)


def test_a_text_that_is_no_checkpoint_has_no_good_ml_dsa_44_signature() -> None:
    line = signed_by(LATTICE).signatures[0].signature
    for text in (b"any other text\n", b"o\n1\nAAAA\n", TEXT.replace(b"\n", b"\n\n"), b""):
        assert failed_step(partial(LATTICE.key.verify, text, line)) == "note.signature"


def test_where_the_algorithm_is_missing_the_signature_is_refused_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Absent:
        @staticmethod
        def from_public_bytes(public: bytes) -> MLDSA44PublicKey:
            raise UnsupportedAlgorithm("ML-DSA-44 is not supported by this backend.")

    monkeypatch.setattr(note_module, "MLDSA44PublicKey", Absent)
    note = signed_by(LATTICE)
    assert failed_step(lambda: verified_cosignatures(note, cosigners=[LATTICE.key])) == "note.signature"


# ---- signing


def test_cosigning_asks_a_callable_and_hands_it_exactly_what_is_signed() -> None:
    for signer in COSIGNERS:
        asked: list[bytes] = []

        def sign(text: bytes, asked: list[bytes] = asked, signer: Signer = signer) -> bytes:
            asked.append(text)
            return signer.sign(text)

        line = cosignature(TEXT, key=signer.key, timestamp=NOW, sign=sign)
        assert asked == [signer.key.cosigned_text(TEXT, NOW)]
        signer.key.verify(TEXT, line.signature)


def test_nothing_is_cosigned_that_could_not_be_verified() -> None:
    def never(text: bytes) -> bytes:
        raise AssertionError(text)

    def attempt(
        text: bytes = TEXT, key: VerifierKey = ONE.key, timestamp: int = NOW, sign: object = never
    ) -> NoteSignature:
        return cosignature(text, key=key, timestamp=timestamp, sign=sign)

    assert malformed_code(lambda: attempt(text=b"no checkpoint\n")) == "checkpoint.line"
    assert malformed_code(lambda: attempt(key=LOG.key)) == "note.key_type"
    assert malformed_code(lambda: attempt(timestamp=-1)) == "cosignature.timestamp"
    assert malformed_code(lambda: attempt(timestamp=TIMESTAMP_MAX + 1)) == "cosignature.timestamp"
    for key in (ONE.key, LATTICE.key):
        short = partial(attempt, key=key, sign=lambda _: b"short")
        assert malformed_code(short) == "note.signature_length"
    long_origin = Checkpoint(origin="x" * 256, size=CHECKPOINT.size, root=CHECKPOINT.root).text()
    assert malformed_code(lambda: attempt(text=long_origin, key=LATTICE.key)) == "cosignature.name_length"
