"""What no other test noticed when the code was changed a little (tools/mutate.py): codes, bounds and edges."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace

import pytest

from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.core.tlog.merkle import (
    PROOF_HASHES_MAX,
    consistency_proof,
    inclusion_proof,
    reader_over,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from answerable.core.tlog.proof import TlogProof
from answerable.core.tlog.tile import TileName, verified_hash_reader
from answerable.errors import Malformed, Unverified
from tests.tlog_world import (
    CHECKPOINT,
    LEAVES,
    ORIGIN,
    ed25519_log,
    flipped,
    malformed_code,
    ml_dsa_44,
    relined,
    signed_by,
)

LOG = ed25519_log()
NOTE = signed_by(LOG)
READ = reader_over(LEAVES)
ROOT = root_of(LEAVES)


def refused(attempt: Callable[[], object]) -> tuple[str, str]:
    """Code and step of the Unverified that it raises."""
    with pytest.raises(Unverified) as caught:
        attempt()
    return caught.value.code, caught.value.step


# --- codes: stable names that callers tell strangers ----------------------------------------------------


def test_a_leaf_that_the_tree_has_not_and_a_wrong_root_have_codes() -> None:
    proof = inclusion_proof(index=4, size=21, hash_at=READ)

    def inclusion(index: int, root: bytes) -> Callable[[], object]:
        return lambda: verify_inclusion(leaf=LEAVES[4], index=index, size=21, proof=proof, root=root)

    assert refused(inclusion(21, ROOT)) == ("proof.index_range", "inclusion.index")
    assert refused(inclusion(4, bytes(32))) == ("proof.root_mismatch", "inclusion.root")


@pytest.mark.parametrize(
    ("old", "new", "code", "step"),
    [
        ((0, bytes(32)), (21, ROOT), "proof.size_range", "consistency.size"),
        ((21, bytes(32)), (21, ROOT), "proof.root_mismatch", "consistency.new_root"),
        ((8, bytes(32)), (21, ROOT), "proof.root_mismatch", "consistency.new_root"),
        ((7, bytes(32)), (21, ROOT), "proof.root_mismatch", "consistency.old_root"),
        ((7, root_of(LEAVES[:7])), (21, bytes(32)), "proof.root_mismatch", "consistency.new_root"),
        ((7, b"short"), (21, ROOT), "proof.hash_length", "consistency.hash"),
    ],
)
def test_what_is_wrong_with_growth_has_a_code(
    old: tuple[int, bytes], new: tuple[int, bytes], code: str, step: str
) -> None:
    proof = consistency_proof(old_size=old[0], new_size=21, hash_at=READ) if 0 < old[0] < 21 else ()
    assert refused(
        lambda: verify_consistency(
            old_size=old[0], old_root=old[1], new_size=new[0], new_root=new[1], proof=proof
        )
    ) == (code, step)


def test_a_proof_of_another_length_has_a_code() -> None:
    proof = inclusion_proof(index=4, size=21, hash_at=READ)[:-1]
    assert refused(lambda: verify_inclusion(leaf=LEAVES[4], index=4, size=21, proof=proof, root=ROOT)) == (
        "proof.length",
        "inclusion.length",
    )


def test_what_is_wrong_with_a_checkpoint_has_a_code() -> None:
    encoded = NOTE.encoded()

    def read(note: bytes, origin: str = ORIGIN) -> Callable[[], object]:
        return lambda: verified_checkpoint(note, origin=origin, log_keys=(LOG.key, lattice.key))

    lattice = ml_dsa_44(ORIGIN)
    extended = replace(CHECKPOINT, extensions=("more",)).text()
    assert refused(read(encoded, "other"))[0] == "checkpoint.origin_mismatch"
    unsigned = signed_by(lattice, text=extended).encoded()
    assert refused(read(unsigned))[0] == "checkpoint.extensions_unsigned"


def test_what_is_wrong_with_a_signature_has_a_code() -> None:
    bad = relined(NOTE, 0, flipped(NOTE.signatures[0].signature, 5))
    assert refused(lambda: bad.verify((LOG.key,)))[0] == "note.signature_bad"
    assert refused(lambda: NOTE.verify((ml_dsa_44("w/9").key,)))[0] == "note.unsigned"


def test_tiles_that_do_not_lead_to_the_root_have_codes() -> None:
    leaves = [bytes([n // 256, n % 256]) * 16 for n in range(300)]
    hash_at = reader_over(leaves)

    def read(name: TileName) -> bytes:
        shift = 8 * (name.level or 0)
        start = name.index * 256
        return b"".join(hash_at(shift, start + n) for n in range(name.width))

    def wrong(name: TileName) -> bytes:
        content = read(name)
        return content if (name.level, name.width) != (0, 256) else flipped(content, 9)

    root = root_of(leaves)
    assert refused(lambda: verified_hash_reader(300, bytes(32), read))[0] == "tile.root_mismatch"
    assert refused(lambda: verified_hash_reader(300, root, wrong)(0, 3))[0] == "tile.hash_mismatch"


# --- bounds: the last that is taken, the first that is not ----------------------------------------------


def test_sixteen_extension_lines_are_read_and_seventeen_are_not() -> None:
    lines = tuple(f"line {number}" for number in range(17))
    assert Checkpoint.parse(replace(CHECKPOINT, extensions=lines[:16]).text()).extensions == lines[:16]
    assert malformed_code(lambda: replace(CHECKPOINT, extensions=lines)) == "checkpoint.line"
    assert malformed_code(lambda: Checkpoint.parse(CHECKPOINT.text() + b"x\n" * 17)) == "checkpoint.line"
    assert malformed_code(lambda: Checkpoint.parse(CHECKPOINT.text() + b"x\n" * 40)) == "checkpoint.line"


@pytest.mark.parametrize("letter", [0xD800, 0xDABC, 0xDFFF])
def test_no_line_of_a_checkpoint_has_half_a_letter(letter: int) -> None:
    assert malformed_code(lambda: replace(CHECKPOINT, origin=f"a{chr(letter)}")) == "checkpoint.line"


@pytest.mark.parametrize("letter", [0xD7FF, 0xE000])
def test_a_line_of_a_checkpoint_may_have_letters_beside_those_halves(letter: int) -> None:
    made = replace(CHECKPOINT, origin=f"a{chr(letter)}")
    assert Checkpoint.parse(made.text()) == made


def test_a_proof_file_has_at_most_sixty_four_hashes() -> None:
    assert PROOF_HASHES_MAX == 64
    longest = TlogProof(index=0, hashes=(bytes(32),) * 64, checkpoint=NOTE.encoded())
    assert TlogProof.parse(longest.encoded()) == longest
    line = b64encode(bytes(32)) + b"\n"
    too_long = longest.encoded().replace(b"\n\n", b"\n" + line + b"\n", 1)
    with pytest.raises(Malformed) as caught:
        TlogProof.parse(too_long)
    assert caught.value.code == "proof.length"
