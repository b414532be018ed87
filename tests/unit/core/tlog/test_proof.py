"""Attacks on proof files: spelling, truncation, and entries that are not there."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.merkle import (
    PROOF_HASHES_MAX,
    SIZE_MAX,
    inclusion_proof,
    leaf_hash,
    reader_over,
    root_of,
)
from answerable.core.tlog.note import NOTE_BYTES_MAX, VerifierKey, signed_note
from answerable.core.tlog.policy import Log, Policy, Witness
from answerable.core.tlog.proof import EXTRA_BYTES_MAX, HEADER, PROOF_BYTES_MAX, TlogProof
from answerable.errors import Malformed, Unverified
from tests.worlds.tlog import CHECKPOINT as COSIGNED
from tests.worlds.tlog import LEAVES as COSIGNED_LEAVES
from tests.worlds.tlog import NOW, ed25519_log, ed25519_witness, signed_by

ORIGIN = "ledger.example/one"
LEAVES = [leaf_hash(b"%d" % i) for i in range(21)]
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)
KEY = VerifierKey.ed25519(ORIGIN, PRIVATE.public_key().public_bytes_raw())
CHECKPOINT = Checkpoint(origin=ORIGIN, size=21, root=root_of(LEAVES))
SIGNED = signed_note(CHECKPOINT.text(), key=KEY, sign=PRIVATE.sign).encoded()


def proof_of(index: int, extra: bytes | None = None) -> TlogProof:
    hashes = inclusion_proof(index=index, size=21, hash_at=reader_over(LEAVES))
    return TlogProof(index=index, hashes=hashes, checkpoint=SIGNED, extra=extra)


def malformed_code(attempt: Callable[[], object]) -> str:
    with pytest.raises(Malformed) as caught:
        attempt()
    return caught.value.code


def failed_step(attempt: Callable[[], object]) -> str:
    with pytest.raises(Unverified) as caught:
        attempt()
    return caught.value.step


def check(proof: TlogProof, leaf: bytes, **changed: Any) -> Callable[[], Checkpoint]:
    return lambda: proof.verify(**{"leaf": leaf, "origin": ORIGIN, "log_keys": [KEY], **changed})


def test_every_entry_of_a_log_can_be_proven_from_its_file_alone() -> None:
    for index, leaf in enumerate(LEAVES):
        proof = TlogProof.parse(proof_of(index).encoded())
        assert check(proof, leaf)() == CHECKPOINT


def test_a_file_is_written_as_it_is_read() -> None:
    for proof in (proof_of(0), proof_of(20, extra=b"anything"), proof_of(20, extra=b"\x00")):
        assert TlogProof.parse(proof.encoded()) == proof
        assert TlogProof.parse(proof.encoded()).encoded() == proof.encoded()


def test_a_file_at_every_limit_is_written_as_it_is_read() -> None:
    longest = TlogProof(
        index=SIZE_MAX,
        hashes=(LEAVES[0],) * PROOF_HASHES_MAX,
        checkpoint=SIGNED,
        extra=bytes(EXTRA_BYTES_MAX),
    )
    assert TlogProof.parse(longest.encoded()) == longest
    assert len(longest.encoded()) - len(SIGNED) < PROOF_BYTES_MAX - NOTE_BYTES_MAX


def test_a_log_of_one_entry_needs_no_hashes() -> None:
    alone = Checkpoint(origin=ORIGIN, size=1, root=LEAVES[0])
    note = signed_note(alone.text(), key=KEY, sign=PRIVATE.sign).encoded()
    proof = TlogProof.parse(f"{HEADER}\nindex 0\n\n".encode() + note)
    assert check(proof, LEAVES[0])() == alone


def test_another_entry_index_origin_or_key_is_refused_with_its_step() -> None:
    proof = proof_of(7)
    stranger = VerifierKey.ed25519(ORIGIN, Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    assert failed_step(check(proof, LEAVES[8])) == "inclusion.root"
    assert failed_step(check(replace(proof, index=8), LEAVES[7])) == "inclusion.root"
    assert failed_step(check(replace(proof, index=21), LEAVES[7])) == "inclusion.index"
    assert failed_step(check(replace(proof, hashes=proof.hashes[1:]), LEAVES[7])) == "inclusion.length"
    assert failed_step(check(proof, b"")) == "inclusion.hash"
    assert failed_step(check(proof, LEAVES[7], origin="ledger.example/two")) == "checkpoint.origin"
    assert failed_step(check(proof, LEAVES[7], log_keys=[stranger])) == "note.signer"


def test_the_extra_line_changes_nothing_about_the_verdict() -> None:
    assert check(replace(proof_of(3), extra=b"trust me"), LEAVES[3])() == CHECKPOINT


def test_a_file_cut_anywhere_is_refused() -> None:
    encoded = proof_of(5, extra=b"x").encoded()
    for length in range(len(encoded)):
        with pytest.raises(Malformed):
            TlogProof.parse(encoded[:length])


H64 = b64encode(LEAVES[0])
TAIL = b"\n\n" + SIGNED


@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        (b"", "proof.header"),
        (b"c2sp.org/tlog-proof@v2\nindex 1" + TAIL, "proof.header"),
        (HEADER.encode() + b"\nindex 1\n", "proof.header"),
        (HEADER.encode() + b"\r\nindex 1" + TAIL, "proof.header"),
        (HEADER.encode() + TAIL, "proof.line"),
        (HEADER.encode() + b"\nextra QQ==" + TAIL, "proof.line"),
        (HEADER.encode() + b"\nindex 1\nextra QQ==" + TAIL, "tlog.base64"),
        (HEADER.encode() + b"\nextra QQ==\nextra QQ==\nindex 1" + TAIL, "proof.line"),
        (HEADER.encode() + b"\nextra \nindex 1" + TAIL, "tlog.base64"),
        (HEADER.encode() + b"\nextra QR==\nindex 1" + TAIL, "tlog.base64"),
        (HEADER.encode() + b"\nINDEX 1" + TAIL, "proof.line"),
        (HEADER.encode() + b"\nindex  1" + TAIL, "tlog.decimal"),
        (HEADER.encode() + b"\nindex 01" + TAIL, "tlog.decimal"),
        (HEADER.encode() + b"\nindex -1" + TAIL, "tlog.decimal"),
        (HEADER.encode() + b"\nindex 18446744073709551616" + TAIL, "tlog.decimal"),
        (HEADER.encode() + b"\nindex 1\n" + H64[:-4] + b"=" + TAIL, "tlog.base64"),
        (HEADER.encode() + b"\nindex 1\nQQ==" + TAIL, "proof.hash_length"),
        (HEADER.encode() + b"\nindex 1" + (b"\n" + H64) * 65 + TAIL, "proof.length"),
        (HEADER.encode() + b"\nindex 1\n\xc3\xa9" + TAIL, "proof.line"),
        (HEADER.encode() + b"\nindex 1\n" + TAIL, "tlog.decimal"),
        (HEADER.encode() + b"\nindex 1\n\n", "note.newline"),
        (HEADER.encode() + b"\nindex 1\n\n" + SIGNED + b"\n", "note.signature_line"),
        (b"x" * (PROOF_BYTES_MAX + 1), "proof.size"),
    ],
)
def test_what_is_not_a_proof_file_in_its_one_spelling_is_refused(encoded: bytes, code: str) -> None:
    assert malformed_code(lambda: TlogProof.parse(encoded)) == code


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"index": -1}, "proof.index_range"),
        ({"index": SIZE_MAX + 1}, "proof.index_range"),
        ({"hashes": (LEAVES[0],) * 65}, "proof.length"),
        ({"hashes": (b"",)}, "proof.hash_length"),
        ({"extra": b""}, "proof.extra"),
        ({"extra": bytes(EXTRA_BYTES_MAX + 1)}, "proof.extra"),
        ({"checkpoint": b"\n"}, "note.signature_count"),
    ],
)
def test_a_proof_that_could_not_be_read_back_is_not_made(changed: dict[str, Any], code: str) -> None:
    assert malformed_code(lambda: replace(proof_of(1), **changed)) == code


# ---- under a policy


WITNESS = ed25519_witness("witness.example/one")
POLICY = Policy(
    logs=(Log(key=ed25519_log().key),), witnesses=(Witness(name="one", key=WITNESS.key),), quorum="one"
)


def cosigned_proof(*, cosigned: bool = True) -> TlogProof:
    signers = (ed25519_log(), WITNESS) if cosigned else (ed25519_log(),)
    hashes = inclusion_proof(index=5, size=21, hash_at=reader_over(COSIGNED_LEAVES))
    return TlogProof(index=5, hashes=hashes, checkpoint=signed_by(*signers).encoded())


def test_a_proof_with_a_cosigned_checkpoint_stands_under_its_policy() -> None:
    proof = TlogProof.parse(cosigned_proof().encoded())
    checkpoint, cosignatures = proof.verify_under(POLICY, leaf=COSIGNED_LEAVES[5], origin=ORIGIN)
    assert checkpoint == COSIGNED
    assert [(one.cosigner, one.timestamp) for one in cosignatures] == [(WITNESS.key, NOW)]
    # Without a policy the cosignature is one more signature by an unknown key.
    assert proof.verify(leaf=COSIGNED_LEAVES[5], origin=ORIGIN, log_keys=[ed25519_log().key]) == COSIGNED
    known = replace(POLICY, logs=())
    assert proof.verify_under(
        known, leaf=COSIGNED_LEAVES[5], origin=ORIGIN, log_keys=[ed25519_log().key]
    ) == (checkpoint, cosignatures)


def test_another_entry_or_too_few_witnesses_are_refused_under_a_policy() -> None:
    proof = cosigned_proof()
    for attempt, step in (
        (lambda: proof.verify_under(POLICY, leaf=COSIGNED_LEAVES[6], origin=ORIGIN), "inclusion.root"),
        (lambda: proof.verify_under(POLICY, leaf=COSIGNED_LEAVES[5], origin="other"), "note.signer"),
        (
            lambda: cosigned_proof(cosigned=False).verify_under(
                POLICY, leaf=COSIGNED_LEAVES[5], origin=ORIGIN
            ),
            "checkpoint.quorum",
        ),
    ):
        assert failed_step(attempt) == step
