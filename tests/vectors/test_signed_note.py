"""C2SP signed-note, tlog-checkpoint and tlog-cosignature examples; CCTV's odd Ed25519 keys and signatures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.cosignature import ed25519_cosigned_text
from answerable.core.tlog.note import Note, VerifierKey
from answerable.errors import Malformed, Unverified


@pytest.mark.requirement("TLOG-03")
def test_the_worked_example_verifies_and_its_key_reads_back(vector_set: Callable[[str], Path]) -> None:
    directory = vector_set("c2sp-signed-note")
    verified = 0
    for example in json.loads((directory / "examples.json").read_text())["notes"]:
        if example["verifier_key"]:
            key = VerifierKey.parse(example["verifier_key"])
            note = Note.parse((directory / example["file"]).read_bytes())
            assert key.formatted() == example["verifier_key"]
            assert note.verify([key]) == (key,)
            with pytest.raises(Unverified):
                Note(text=b"x" + note.text, signatures=note.signatures).verify([key])
            verified += 1
    assert verified == 1


@pytest.mark.requirement("TLOG-04")
@pytest.mark.parametrize(
    ("file", "signatures"),
    [("example.note", 1), ("quasimodo.note", 1), ("checkpoint.note", 1), ("cosigned-checkpoint.note", 2)],
)
def test_every_example_note_is_read_and_written_back(
    vector_set: Callable[[str], Path], file: str, signatures: int
) -> None:
    encoded = (vector_set("c2sp-signed-note") / file).read_bytes()
    note = Note.parse(encoded)
    assert len(note.signatures) == signatures
    assert note.encoded() == encoded


@pytest.mark.requirement("TLOG-04")
def test_the_example_checkpoint_is_read_with_and_without_a_cosignature(
    vector_set: Callable[[str], Path],
) -> None:
    directory = vector_set("c2sp-signed-note")
    plain = Note.parse((directory / "checkpoint.note").read_bytes())
    cosigned = Note.parse((directory / "cosigned-checkpoint.note").read_bytes())
    checkpoint = Checkpoint.parse(plain.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text() == plain.text == cosigned.text
    assert [len(one.signature) for one in cosigned.signatures] == [64, 72]


@pytest.mark.requirement("TLOG-08")
def test_what_the_example_cosigner_signed_is_made_byte_for_byte(vector_set: Callable[[str], Path]) -> None:
    directory = vector_set("c2sp-signed-note")
    cosigned = Note.parse((directory / "cosigned-checkpoint.note").read_bytes())
    examples = {one["file"]: one for one in json.loads((directory / "examples.json").read_text())["notes"]}
    timestamp = int.from_bytes(cosigned.signatures[1].signature[:8], "big")
    assert timestamp == examples["cosigned-message.txt"]["timestamp"]
    assert (
        ed25519_cosigned_text(timestamp, cosigned.text) == (directory / "cosigned-message.txt").read_bytes()
    )


@pytest.mark.requirement("TLOG-03")
def test_exactly_the_unsound_keys_are_refused(vector_set: Callable[[str], Path]) -> None:
    vectors = json.loads((vector_set("cctv-signatures") / "ed25519" / "ed25519vectors.json").read_text())
    keys = {vector["key"]: set(vector["flags"] or ()) for vector in vectors}
    for hexed, flags in keys.items():
        try:
            VerifierKey.ed25519("a", bytes.fromhex(hexed))
            sound = True
        except Malformed:
            sound = False
        assert sound == flags.isdisjoint({"low_order_A", "non_canonical_A"}), (hexed, flags)


@pytest.mark.requirement("TLOG-03")
def test_the_rule_for_odd_signatures_is_the_one_written_down(vector_set: Callable[[str], Path]) -> None:
    vectors = json.loads((vector_set("cctv-signatures") / "ed25519" / "ed25519vectors.json").read_text())
    accepted = 0
    for vector in vectors:
        public, signature = bytes.fromhex(vector["key"]), bytes.fromhex(vector["sig"])
        flags = set(vector["flags"] or ())
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, vector["msg"].encode())
            good = True
        except InvalidSignature:
            good = False
        assert good == flags.isdisjoint({"non_canonical_R", "low_order_residue"}), vector["number"]
        if flags.isdisjoint({"low_order_A", "non_canonical_A"}) and good:
            VerifierKey.ed25519("a", public).verify(vector["msg"].encode(), signature)
            accepted += 1
    assert accepted > 0
