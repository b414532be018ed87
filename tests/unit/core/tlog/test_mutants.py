"""What no other test noticed when the code was changed a little (tools/mutate.py): codes, bounds and edges."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.exceptions import UnsupportedAlgorithm

from answerable.core.tlog import note as note_module
from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.core.tlog.key_name import require_key_name
from answerable.core.tlog.merkle import (
    PROOF_HASHES_MAX,
    SIZE_MAX,
    consistency_proof,
    inclusion_proof,
    reader_over,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from answerable.core.tlog.note import (
    NOTE_BYTES_MAX,
    SIGNATURES_MAX,
    Note,
    VerifierKey,
)
from answerable.core.tlog.policy import (
    GROUPS_MAX,
    LOGS_MAX,
    POLICY_BYTES_MAX,
    WITNESSES_MAX,
    WORD_CHARS_MAX,
    Group,
    Log,
    Policy,
    Witness,
    parse_policy,
)
from answerable.core.tlog.proof import EXTRA_BYTES_MAX, PROOF_BYTES_MAX, TlogProof
from answerable.core.tlog.tile import TileName, verified_hash_reader
from answerable.core.tlog.witnessing import WITNESS_PROOF_HASHES_MAX, AddCheckpoint
from answerable.errors import Malformed, Unverified
from tests.worlds.tlog import (
    CHECKPOINT,
    LEAVES,
    ORIGIN,
    ed25519_log,
    ed25519_witness,
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


def test_a_note_of_a_million_bytes_is_read_and_one_more_is_too_many() -> None:
    assert NOTE_BYTES_MAX == 1_000_000
    lines = NOTE.encoded().removeprefix(NOTE.text)
    room = NOTE_BYTES_MAX - len(lines)
    longest = b"x" * (room - 1) + b"\n" + lines
    assert len(Note.parse(longest).text) == room
    assert malformed_code(lambda: Note.parse(b"x" + longest)) == "note.size"


def test_a_note_has_at_most_sixty_four_signatures() -> None:
    assert SIGNATURES_MAX == 64
    most = Note(text=NOTE.text, signatures=NOTE.signatures * 64)
    assert Note.parse(most.encoded()) == most
    assert malformed_code(lambda: replace(most, signatures=NOTE.signatures * 65)) == "note.signature_count"
    more = most.encoded() + most.encoded().splitlines(keepends=True)[-1]
    assert malformed_code(lambda: Note.parse(more)) == "note.signature_count"


def test_no_note_is_made_of_what_is_no_text() -> None:
    assert malformed_code(lambda: replace(NOTE, text=b"a\x01\n")) == "note.control"


@pytest.mark.parametrize("kind", [0, 255])
def test_a_key_may_be_of_any_type_that_fits_a_byte(kind: int) -> None:
    key = VerifierKey(name="k", key_id=b"abcd", kind=kind, public=b"anything")
    assert VerifierKey.parse(key.formatted()) == key


@pytest.mark.parametrize("kind", [-1, 256])
def test_a_key_of_a_type_that_fits_no_byte_is_not_made(kind: int) -> None:
    code = malformed_code(lambda: VerifierKey(name="k", key_id=b"abcd", kind=kind, public=b"anything"))
    assert code == "note.key"


def test_the_id_of_the_key_in_the_specification_is_derived_as_it_says() -> None:
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert VerifierKey.parse(text).key_id == bytes.fromhex("c74f20a3")


@pytest.mark.parametrize("letter", [0x00, 0x01, 0x08, 0x0E, 0x1B, 0x1F, 0x20, 0xD800, 0xDFFF, 0x2B])
def test_a_name_of_a_key_has_none_of_these(letter: int) -> None:
    assert malformed_code(lambda: require_key_name(f"a{chr(letter)}b")) == "note.key_name"


@pytest.mark.parametrize("letter", [0x21, 0x7F, 0xD7FF, 0xE000])
def test_a_name_of_a_key_may_have_these(letter: int) -> None:
    key = VerifierKey.ed25519(f"a{chr(letter)}b", ed25519_log("log/1").key.public)
    assert VerifierKey.parse(key.formatted()) == key


def many_witnesses(count: int) -> tuple[Witness, ...]:
    return tuple(Witness(name=f"w{n}", key=ed25519_witness(f"w/{n}").key) for n in range(count))


def test_a_policy_has_at_most_so_many_of_each() -> None:
    assert (LOGS_MAX, WITNESSES_MAX, GROUPS_MAX) == (256, 256, 256)
    logs = tuple(Log(key=ed25519_log(f"log/{n}").key) for n in range(257))
    witnesses = many_witnesses(257)
    groups = tuple(
        Group(name=f"g{n}", threshold=1, members=(f"g{n - 1}" if n else "w0",)) for n in range(257)
    )
    most = Policy(logs=logs[:256], witnesses=witnesses[:256], groups=groups[:256], quorum="g255")
    assert parse_policy(most.text()) == most
    assert malformed_code(lambda: replace(most, logs=logs)) == "policy.size"
    assert malformed_code(lambda: replace(most, witnesses=witnesses)) == "policy.size"
    assert malformed_code(lambda: replace(most, groups=groups)) == "policy.size"


def test_a_policy_of_a_mebibyte_is_read_and_one_byte_more_is_not() -> None:
    assert POLICY_BYTES_MAX == 1_048_576
    line = b"quorum none\n"
    longest = b"#" + b"x" * (POLICY_BYTES_MAX - len(line) - 2) + b"\n" + line
    assert parse_policy(longest).quorum == "none"
    assert malformed_code(lambda: parse_policy(b"#" + longest)) == "policy.size"


def test_a_word_of_a_policy_has_at_most_so_many_letters() -> None:
    assert WORD_CHARS_MAX == 4096
    log = Log(key=LOG.key, url="u" * 4096)
    assert parse_policy(Policy(logs=(log,), quorum="none").text()).logs == (log,)
    too_long = replace(log, url="u" * 4097)
    assert malformed_code(lambda: Policy(logs=(too_long,), quorum="none")) == "policy.word"


def test_an_algorithm_that_is_missing_has_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent:
        @staticmethod
        def from_public_bytes(public: bytes) -> object:
            raise UnsupportedAlgorithm("not here")

    monkeypatch.setattr(note_module, "MLDSA44PublicKey", Absent)
    lattice = ml_dsa_44(ORIGIN)
    assert refused(lambda: signed_by(lattice).verify((lattice.key,)))[0] == "note.signature_unsupported"


def test_a_proof_file_names_its_format_and_its_bounds() -> None:
    made = TlogProof(index=0, hashes=(), checkpoint=NOTE.encoded(), extra=bytes(EXTRA_BYTES_MAX))
    assert EXTRA_BYTES_MAX == 65_536
    assert made.encoded().startswith(b"c2sp.org/tlog-proof@v1\n")
    assert TlogProof.parse(made.encoded()) == made
    assert malformed_code(lambda: replace(made, extra=bytes(65_537))) == "proof.extra"
    assert PROOF_BYTES_MAX == 1_131_072
    assert malformed_code(lambda: TlogProof.parse(b"x" * PROOF_BYTES_MAX)) == "proof.header"
    assert malformed_code(lambda: TlogProof.parse(b"x" * (PROOF_BYTES_MAX + 1))) == "proof.size"


def test_a_request_to_a_witness_has_at_most_sixty_three_hashes() -> None:
    assert WITNESS_PROOF_HASHES_MAX == 63
    longest = AddCheckpoint(old_size=SIZE_MAX, proof=(bytes(32),) * 63, checkpoint=NOTE.encoded())
    assert AddCheckpoint.parse(longest.encoded()) == longest
    assert malformed_code(lambda: replace(longest, proof=(bytes(32),) * 64)) == "proof.length"
