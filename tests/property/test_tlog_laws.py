"""Laws of transparency logs: proofs verify and a flipped bit does not; one spelling; nothing else escapes a parser."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given
from hypothesis import strategies as st

from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.core.tlog.merkle import (
    EMPTY_ROOT,
    SIZE_MAX,
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    reader_over,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from answerable.core.tlog.note import Note, NoteSignature, VerifierKey, signed_note
from answerable.core.tlog.proof import TlogProof
from answerable.errors import Malformed, Unverified

LEAVES = [leaf_hash(b"%d" % i) for i in range(300)]
AT = reader_over(LEAVES)
SIZES = st.integers(1, len(LEAVES))
HASHES = st.binary(min_size=32, max_size=32)

ORIGIN = "ledger.example/laws"
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
KEY = VerifierKey.ed25519(ORIGIN, PRIVATE.public_key().public_bytes_raw())
LINE_CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"])
LINES = st.text(LINE_CHARACTERS, min_size=1, max_size=20)
NAMES = LINES.filter(lambda name: not any(c.isspace() or c == "+" for c in name))

Read = TypeVar("Read")


def flip(data: st.DataObject, value: bytes) -> bytes:
    bit = data.draw(st.integers(0, len(value) * 8 - 1))
    return (int.from_bytes(value, "big") ^ (1 << bit)).to_bytes(len(value), "big")


def flip_one(data: st.DataObject, hashes: tuple[bytes, ...]) -> tuple[bytes, ...]:
    at = data.draw(st.integers(0, len(hashes) - 1))
    return (*hashes[:at], flip(data, hashes[at]), *hashes[at + 1 :])


# ---- trees


@pytest.mark.requirement("TLOG-02")
@given(SIZES, st.data())
def test_an_inclusion_proof_verifies_and_a_flipped_bit_does_not(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof, root, leaf = (
        inclusion_proof(index=index, size=size, hash_at=AT),
        root_of(LEAVES[:size]),
        LEAVES[index],
    )
    verify_inclusion(leaf=leaf, index=index, size=size, proof=proof, root=root)
    damaged = [(flip(data, leaf), proof, root), (leaf, proof, flip(data, root))]
    if proof:
        damaged.append((leaf, flip_one(data, proof), root))
    for bad_leaf, bad_proof, bad_root in damaged:
        with pytest.raises(Unverified):
            verify_inclusion(leaf=bad_leaf, index=index, size=size, proof=bad_proof, root=bad_root)


@pytest.mark.requirement("TLOG-02")
@given(SIZES, st.data())
def test_an_inclusion_proof_holds_at_no_other_index(size: int, data: st.DataObject) -> None:
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size + 5))
    assume(other != index)
    proof = inclusion_proof(index=index, size=size, hash_at=AT)
    with pytest.raises(Unverified):
        verify_inclusion(leaf=LEAVES[index], index=other, size=size, proof=proof, root=root_of(LEAVES[:size]))


@pytest.mark.requirement("TLOG-02")
@given(SIZES, st.data())
def test_a_consistency_proof_verifies_and_a_flipped_bit_does_not(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    old_root, new_root = root_of(LEAVES[:old]), root_of(LEAVES[:new])
    proof = consistency_proof(old_size=old, new_size=new, hash_at=AT)
    verify_consistency(old_size=old, new_size=new, old_root=old_root, new_root=new_root, proof=proof)
    damaged = [(flip(data, old_root), new_root, proof), (old_root, flip(data, new_root), proof)]
    if proof:
        damaged.append((old_root, new_root, flip_one(data, proof)))
    for bad_old, bad_new, bad_proof in damaged:
        with pytest.raises(Unverified):
            verify_consistency(
                old_size=old, new_size=new, old_root=bad_old, new_root=bad_new, proof=bad_proof
            )


@pytest.mark.requirement("TLOG-02")
@given(st.lists(st.integers(0, 3), min_size=2, max_size=40), st.data())
def test_a_rewritten_history_is_never_consistent_with_the_old_root(
    kinds: list[int], data: st.DataObject
) -> None:
    leaves = [LEAVES[kind] for kind in kinds]
    old = data.draw(st.integers(1, len(leaves)))
    at = data.draw(st.integers(0, old - 1))
    rewritten = [*leaves[:at], LEAVES[9], *leaves[at + 1 :]]
    proof = consistency_proof(old_size=old, new_size=len(leaves), hash_at=reader_over(rewritten))
    with pytest.raises(Unverified):
        verify_consistency(
            old_size=old,
            new_size=len(leaves),
            old_root=root_of(leaves[:old]),
            new_root=root_of(rewritten),
            proof=proof,
        )


@pytest.mark.requirement("TLOG-02")
@given(st.integers(0, 200), st.integers(0, 200))
def test_a_range_stored_and_restored_anywhere_grows_to_the_same_root(stored_at: int, more: int) -> None:
    grown = CompactRange()
    for leaf in LEAVES[:stored_at]:
        grown.append(leaf)
    restored = CompactRange.restored(size=grown.size, hashes=grown.hashes)
    for leaf in LEAVES[stored_at : stored_at + more]:
        restored.append(leaf)
    assert restored.root() == root_of(LEAVES[: stored_at + more])


WILD = st.integers(-2, 2**64 + 2)


@pytest.mark.requirement("TLOG-02")
@given(
    st.one_of(WILD, SIZES),
    st.one_of(WILD, SIZES),
    st.lists(st.one_of(HASHES, st.binary(max_size=40)), max_size=66),
)
def test_no_numbers_and_no_bytes_raise_anything_but_unverified(a: int, b: int, hashes: list[bytes]) -> None:
    root, leaf = LEAVES[0], LEAVES[1]
    with pytest.raises(Unverified):
        verify_inclusion(leaf=leaf, index=a, size=b, proof=hashes, root=root)
    with pytest.raises(Unverified):
        verify_consistency(old_size=a, new_size=b, old_root=leaf, new_root=root, proof=hashes)


# ---- texts


@st.composite
def checkpoints(draw: st.DrawFn) -> Checkpoint:
    size = draw(st.integers(0, SIZE_MAX))
    return Checkpoint(
        origin=draw(LINES),
        size=size,
        root=draw(HASHES) if size else EMPTY_ROOT,
        extensions=tuple(draw(st.lists(LINES, max_size=3))),
    )


SIGNATURES = st.builds(
    NoteSignature,
    name=NAMES,
    key_id=st.binary(min_size=4, max_size=4),
    signature=st.binary(min_size=1, max_size=80),
)
NOTE_TEXTS = st.lists(st.text(LINE_CHARACTERS, max_size=20), min_size=1, max_size=5).map(
    lambda lines: "".join(f"{line}\n" for line in lines).encode()
)
NOTES = st.builds(Note, text=NOTE_TEXTS, signatures=st.lists(SIGNATURES, min_size=1, max_size=4).map(tuple))
PROOFS = st.builds(
    TlogProof,
    index=st.integers(0, SIZE_MAX),
    hashes=st.lists(HASHES, max_size=5).map(tuple),
    checkpoint=st.builds(
        lambda checkpoint, signature: Note(text=checkpoint.text(), signatures=(signature,)).encoded(),
        checkpoints(),
        SIGNATURES,
    ),
    extra=st.one_of(st.none(), st.binary(min_size=1, max_size=20)),
)


@pytest.mark.requirement("TLOG-04")
@given(NOTES, checkpoints(), PROOFS)
def test_what_is_written_is_read_back(note: Note, checkpoint: Checkpoint, proof: TlogProof) -> None:
    assert Note.parse(note.encoded()) == note
    assert Checkpoint.parse(checkpoint.text()) == checkpoint
    assert TlogProof.parse(proof.encoded()) == proof


@pytest.mark.requirement("TLOG-04")
@given(NAMES, st.binary(min_size=32, max_size=32))
def test_a_key_is_sound_and_written_as_it_is_read_or_it_is_refused(name: str, public: bytes) -> None:
    try:
        key = VerifierKey.ed25519(name, public)
    except Malformed:
        return
    assert VerifierKey.parse(key.formatted()) == key
    with pytest.raises(Unverified):
        key.verify(b"text\n", bytes(64))


def read_or_refused(parse: Callable[[bytes], Read], data: bytes) -> Read | None:
    try:
        return parse(data)
    except Malformed as fault:
        if "\n" in fault.message or len(fault.message) > 300:
            raise AssertionError(fault.message) from fault
        return None


FRAGMENTS = st.sampled_from(
    [
        b"\n", b"\n\n", b" ", "— ".encode(), b"a", b"0", b"12", b"index ", b"extra ", b"c2sp.org/tlog-proof@v1\n",
        b"AAAAAAA=", b"QUJD", b"+", b"\xff", b"\x00", b"\r",
        b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "è".encode(),
    ]
)  # fmt: skip


@pytest.mark.requirement("TLOG-04")
@given(st.one_of(st.binary(max_size=60), st.lists(FRAGMENTS, max_size=16).map(b"".join)))
def test_any_bytes_are_read_in_their_one_spelling_or_refused(data: bytes) -> None:
    note = read_or_refused(Note.parse, data)
    checkpoint = read_or_refused(Checkpoint.parse, data)
    proof = read_or_refused(TlogProof.parse, data)
    key = read_or_refused(lambda raw: VerifierKey.parse(raw.decode("utf-8", "surrogateescape")), data)
    assert note is None or note.encoded() == data
    assert checkpoint is None or checkpoint.text() == data
    assert proof is None or proof.encoded() == data
    assert key is None or key.formatted().encode() == data


def edited(data: st.DataObject, encoded: bytes) -> bytes:
    """The bytes with one byte changed, removed, or put in."""
    at = data.draw(st.integers(0, len(encoded) - 1))
    byte = data.draw(st.one_of(st.sampled_from(b"\n +=A0/\xe2"), st.integers(0, 255)))
    kind = data.draw(st.sampled_from(["change", "remove", "insert"]))
    middle = b"" if kind == "remove" else bytes([byte])
    return encoded[:at] + middle + encoded[at if kind == "insert" else at + 1 :]


@pytest.mark.requirement("TLOG-04")
@given(PROOFS, st.data())
def test_an_edited_proof_file_is_read_in_its_one_spelling_or_refused(
    proof: TlogProof, data: st.DataObject
) -> None:
    for encoded in (proof.encoded(), proof.checkpoint):
        changed = edited(data, encoded)
        as_proof, as_note = read_or_refused(TlogProof.parse, changed), read_or_refused(Note.parse, changed)
        assert as_proof is None or as_proof.encoded() == changed
        assert as_note is None or as_note.encoded() == changed


PROOF = TlogProof(
    index=123,
    hashes=inclusion_proof(index=123, size=300, hash_at=AT),
    checkpoint=signed_note(
        Checkpoint(origin=ORIGIN, size=300, root=root_of(LEAVES)).text(), key=KEY, sign=PRIVATE.sign
    ).encoded(),
)


@pytest.mark.requirement("TLOG-02")
@given(st.data())
def test_no_edit_of_a_signed_proof_file_still_verifies(data: st.DataObject) -> None:
    changed = edited(data, PROOF.encoded())
    assume(changed != PROOF.encoded())
    with pytest.raises((Malformed, Unverified)):
        TlogProof.parse(changed).verify(leaf=LEAVES[123], origin=ORIGIN, log_keys=[KEY])


@pytest.mark.requirement("TLOG-02")
def test_no_flipped_bit_of_a_signed_proof_file_still_verifies() -> None:
    encoded = PROOF.encoded()
    assert TlogProof.parse(encoded).verify(leaf=LEAVES[123], origin=ORIGIN, log_keys=[KEY]).size == 300
    for bit in range(len(encoded) * 8):
        changed = bytearray(encoded)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((Malformed, Unverified)):
            TlogProof.parse(bytes(changed)).verify(leaf=LEAVES[123], origin=ORIGIN, log_keys=[KEY])


@pytest.mark.requirement("TLOG-03")
@given(st.lists(SIGNATURES, max_size=5), st.data())
def test_strangers_signatures_around_a_good_one_change_nothing(
    others: list[NoteSignature], data: st.DataObject
) -> None:
    checkpoint = Checkpoint(origin=ORIGIN, size=300, root=root_of(LEAVES))
    good = signed_note(checkpoint.text(), key=KEY, sign=PRIVATE.sign).signatures[0]
    lines = data.draw(st.permutations([*others, good]))
    encoded = Note(text=checkpoint.text(), signatures=tuple(lines)).encoded()
    assert verified_checkpoint(encoded, origin=ORIGIN, log_keys=[KEY]) == checkpoint
